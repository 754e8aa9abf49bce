"""Mastodon.py at the fake Mastodon server."""

import time
import typing
import unittest
from datetime import datetime

from birdsong import Case, fake
from mastodon import Mastodon, MastodonAPIError, StreamListener, return_types
from mastodon.types_base import AttribAccessDict

# What Mastodon.py declares without saying that it may be missing, and the fake rightly leaves out.
LEFT_OUT = {
    # Since Mastodon 4.6; the fake is 4.5.
    "Account.avatar_description",
    "Account.feature_approval",
    "Account.header_description",
    "Account.show_featured",
    "Account.show_media",
    "Account.show_media_replies",
    "Status.tagged_collections",
}


class Enough(Exception):
    """The listener has seen enough."""


class Listener(StreamListener):
    """Keeps the events of a stream until there are enough updates."""

    def __init__(self, updates: int) -> None:
        self.left = updates
        self.updates, self.edits, self.deletes = [], [], []

    def on_update(self, status) -> None:
        self.updates.append(status)
        self.left -= 1
        if self.left == 0:
            raise Enough

    def on_status_update(self, status) -> None:
        self.edits.append(status)

    def on_delete(self, status_id) -> None:
        self.deletes.append(status_id)

    def on_abort(self, err) -> None:
        raise AssertionError(err) from err


def incomplete(entity: AttribAccessDict) -> set[str]:
    """Fields that Mastodon.py declares as always there and that are not, here or in what this entity holds."""
    name = type(entity).__name__
    hints = typing.get_type_hints(type(entity), vars(return_types)) if hasattr(return_types, name) else {}
    always = {field for field, hint in hints.items() if type(None) not in typing.get_args(hint) and field[0] != "_"}
    missing = {f"{name}.{field}" for field in always if entity.get(field) is None} - LEFT_OUT
    for value in entity.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, AttribAccessDict):
                missing |= incomplete(item)
    return missing


class MastodonCase(Case):
    def setUp(self) -> None:
        super().setUp()
        self.address = self.enterContext(fake("mastodon", "--rate", "200"))
        self.client = Mastodon(api_base_url=self.address, access_token="made-up")
        self.addCleanup(self.client.session.close)

    def listen(self, stream, updates: int = 150, **options) -> Listener:
        listener = Listener(updates)
        with self.assertRaises(Enough):
            stream(listener=listener, timeout=30, **options)
        return listener


class Instance(MastodonCase):
    def test_version_2(self):
        instance = self.client.instance()
        self.assertIsInstance(instance, return_types.InstanceV2)
        self.assertEqual(instance.domain, "here.example")
        self.assertEqual(instance.configuration.urls.streaming, self.address.replace("http://", "ws://"))
        self.assertEqual(incomplete(instance), set())

    def test_version_1(self):
        instance = self.client.instance_v1()
        self.assertEqual(instance.uri, "here.example")
        self.assertEqual(instance.urls.streaming_api, self.address.replace("http://", "ws://"))
        self.assertEqual(incomplete(instance), set())

    def test_availability(self):
        self.assertTrue(self.client.stream_healthy())
        self.assertTrue(self.client.timeline_is_available("public", fail_hard=True))
        self.assertTrue(self.client.timeline_is_available("hashtag", fail_hard=True))


class Streams(MastodonCase):
    def test_public(self):
        seen = self.listen(self.client.stream_public)
        self.assertTrue(seen.edits and seen.deletes)
        self.assertEqual({type(status_id) for status_id in seen.deletes} - {int, str}, set())
        self.assertEqual({"@" in status.account.acct for status in seen.updates}, {True, False})
        self.assertTrue(all(isinstance(status.created_at, datetime) for status in seen.updates))
        self.assertEqual({status.visibility for status in seen.updates + seen.edits}, {"public"})
        self.assertTrue(all(status.reblog is None for status in seen.updates), "a public stream has no boosts")
        self.assertEqual(set().union(*(incomplete(status) for status in seen.updates + seen.edits)), set())
        self.assertTrue(any(status.quote and status.quote.quoted_status for status in seen.updates))
        self.assertTrue(any(status.card for status in seen.updates))
        self.assertTrue(any(status.mentions for status in seen.updates))
        self.assertTrue(any(status.in_reply_to_id for status in seen.updates))

    def test_local_and_remote(self):
        for option in ("local", "remote"):
            seen = self.listen(self.client.stream_public, 40, **{option: True})
            accounts = [status.account for status in seen.updates + seen.edits]
            self.assertEqual({"@" in account.acct for account in accounts}, {option == "remote"}, option)

    def test_hashtag(self):
        for tag in ("wx", "montréal", "東京"):
            seen = self.listen(lambda tag=tag, **options: self.client.stream_hashtag(tag, **options), 5)
            for status in seen.updates + seen.edits:
                self.assertIn(tag, [one.name for one in status.tags])

    def test_hashtag_of_local_accounts(self):
        seen = self.listen(lambda **options: self.client.stream_hashtag("wx", local=True, **options), 3)
        for status in seen.updates:
            self.assertNotIn("@", status.account.acct)
            self.assertIn("wx", [one.name for one in status.tags])


class Timelines(MastodonCase):
    def test_the_newest_come_first(self):
        ids = [int(status.id) for status in self.client.timeline_public(limit=40)]
        self.assertEqual((len(ids), ids), (40, sorted(ids, reverse=True)))

    def test_pages_go_on_from_an_id(self):
        # Of a minute ago: among the newest, some arrive later than their ids say.
        before = (int(time.time()) - 60) * 1000 << 16
        page = self.client.timeline_public(min_id=before, limit=40)
        first = self.client.timeline_public(min_id=before, limit=15)
        second = self.client.timeline_public(min_id=first[0].id, limit=25)
        self.assertEqual([status.id for status in second + first], [status.id for status in page])
        self.assertGreater(int(page[-1].id), before)

    def test_local_and_hashtag(self):
        statuses = self.client.timeline_local(limit=20)
        self.assertTrue(statuses and not any("@" in status.account.acct for status in statuses))
        statuses = self.client.timeline_hashtag("montréal", limit=20)
        self.assertTrue(statuses)
        for status in statuses:
            self.assertIn("montréal", [one.name for one in status.tags])

    def test_what_is_not_there(self):
        with self.assertRaises(MastodonAPIError):
            self.client.timeline_home()


if __name__ == "__main__":
    unittest.main()
