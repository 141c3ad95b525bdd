"""`python -m standin command|tls ENGINE_ADDRESS`: serve one plugin to the engine."""

import sys
from typing import NoReturn


def main(arguments: list[str]) -> NoReturn:
    """Serve the plugin `arguments[0]`; the rest are the engine's own arguments."""
    from .lean import skip_sdk_start

    skip_sdk_start()
    from .serve import serve

    match arguments:
        case ["command", *rest]:
            from .command import CommandProvider

            serve(CommandProvider, rest)
        case ["tls", *rest]:
            from .tls import TlsProvider

            serve(TlsProvider, rest)
    print("usage: python -m standin command|tls ENGINE_ADDRESS", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
