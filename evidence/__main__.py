"""python -m evidence COMMAND: another name of `python -m rnn_equivalence COMMAND`, which older texts use."""

import runpy

if __name__ == "__main__":
    runpy.run_module("rnn_equivalence", run_name="__main__", alter_sys=True)
