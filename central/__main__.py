"""`python -m central`: the commands of the central service."""

import sys

from central.cli import main

sys.exit(main())
