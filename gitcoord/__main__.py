"""`python -m gitcoord`."""

import sys

from gitcoord.entry import main

sys.exit(main())
