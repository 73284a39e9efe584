"""A spare that never gets warm."""

import time

if __name__ == "__main__":
    time.sleep(600)
