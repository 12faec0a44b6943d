"""``python -m ctxzip.evaluate``."""

from ctxzip.evaluate.compare import main

raise SystemExit(main())
