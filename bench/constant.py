"""Answers every webhook with a constant: what gunicorn and Flask reach before anything is done.

It must not look at what it was sent.
"""

from flask import Flask, Response, request


def create_app() -> Flask:
    """Return the application."""
    app = Flask(__name__)

    @app.post("/webhooks/jira")
    def webhook() -> dict[str, str]:
        request.get_data()
        return {"status": "accepted"}

    @app.get("/livez")
    def live() -> Response:
        return Response()

    return app


app = create_app()
