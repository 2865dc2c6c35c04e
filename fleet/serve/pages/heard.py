"""The one connection to the broker by which pages hear what devices find."""

from __future__ import annotations

import secrets

from fleet.live.hearing import Hearing
from fleet.serve.scope import WebRequest, parts_of
from wire.link import Link, Post
from wire.mqtt.mqtt import MqttLink

PLACE = "hearing"  # in the application's state


def hearing_of(request: WebRequest) -> Hearing:
    """Of this server, made when it is needed first. On the event loop's thread only."""
    state = request.app.state
    if PLACE not in state:
        fleet = parts_of(request).fleet

        def make_link(post: Post) -> Link:
            return MqttLink(fleet.broker, f"page-{secrets.token_hex(8)}", post)

        state[PLACE] = Hearing(fleet.name, make_link)
    found: Hearing = state[PLACE]
    return found
