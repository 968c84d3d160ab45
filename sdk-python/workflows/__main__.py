"""`python -m workflows` is the console script `workflows`."""

import sys

from workflows._cli import main

sys.exit(main())
