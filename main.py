"""`python main.py` opens the app; with arguments it is the `ventriloquist` command."""

from ventriloquist.cli import main

if __name__ == "__main__":
    main()
