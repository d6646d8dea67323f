"""The front door: one command line. In a wheel, `suite/` beside this file holds everything else."""
