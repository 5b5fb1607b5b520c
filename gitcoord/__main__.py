"""`python -m gitcoord`."""

import sys

from gitcoord.main import main

sys.exit(main())
