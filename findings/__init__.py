"""What released frameworks get wrong: a TOML file for each finding, with the case that shows it.

finding: what a finding is, and how its file is read.  pinned: the case that shows it.  states: whether the version at
hand has it, and whether an answer that disagrees is what it says.
"""

from .finding import Finding, all_findings
from .states import State, explained, states_of

__all__ = ["Finding", "State", "all_findings", "explained", "states_of"]
