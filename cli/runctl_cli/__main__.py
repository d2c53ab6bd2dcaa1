"""`python -m runctl_cli` is `runctl`."""

import sys

from runctl_cli.main import main

sys.exit(main())
