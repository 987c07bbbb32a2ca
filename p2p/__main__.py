"""`python -m p2p` is `ringrift-p2p`."""

from p2p.cli.node import main

if __name__ == "__main__":
    main()
