"""A client of the server: what `micronet submit` and the commands beside it are built on, and any script may be.

    with Client("http://127.0.0.1:8000", token) as client:
        job = client.submit("score", Path("entry.onnx"), ScoreSettings(track="digits"))
        for job in client.follow(job["id"]):
            print(job["status"], job["progress"])
        print(job["result"]["score"] if job["error"] is None else job["error"])

Jobs and entries of the leaderboard are the server's JSON as dictionaries; `/openapi.json` describes them.
"""

from app.client.client import Client, Stored
from app.client.errors import Later, ServerError

__all__ = ["Client", "Later", "ServerError", "Stored"]
