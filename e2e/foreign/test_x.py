"""X's own SDK, xdk, at the fake X API.

The SDK logs a line of the stream that its models refuse at debug level and drops it. So a field that is missing from a post
looks like a stream without posts: `public_metrics` without `bookmark_count` did. `Refused` makes such a line an error.
"""

import logging
import re
import unittest
from datetime import UTC, datetime
from itertools import islice

from birdsong import Case, fake
from pydantic import BaseModel
from xdk import Client
from xdk.stream.models import UpdateRulesRequest
from xdk.streaming import StreamConfig, StreamError, StreamErrorType

TOKEN = "made-up"
EPOCH_MS = 1_288_834_974_657

# All that the fake knows of a post.
POST_FIELDS = [
    *("author_id", "conversation_id", "created_at", "display_text_range", "edit_controls", "entities", "geo"),
    *("in_reply_to_user_id", "lang", "note_tweet", "possibly_sensitive", "public_metrics", "referenced_tweets"),
    *("reply_settings", "source"),
]
PLACE_FIELDS = ["contained_within", "country", "country_code", "full_name", "geo", "id", "name", "place_type"]
EVERYTHING = {
    "tweet_fields": POST_FIELDS,
    "place_fields": PLACE_FIELDS,
    "expansions": ["geo.place_id", "referenced_tweets.id", "author_id"],
}
RULES = [
    {"value": "bounding_box:[2.05 41.31 2.23 41.47] -is:nullcast", "tag": "bcn:box"},
    {"value": '(harbour OR "polar light" OR #aurora) lang:fr', "tag": "bcn:text"},
    {"value": "#porta is:retweet", "tag": "rt:bcn"},
]


# What X's specification names and the SDK's models leave out: they have only the places of an entity.
NOT_MODELLED = re.compile(r"\.entities\.(hashtags\.tag|mentions\.(id|username)|urls\.(url|expanded_url|display_url))$")


class Refused(logging.Handler):
    """Ends a stream of which the SDK drops a line."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.DEBUG:
            raise ValueError(record.getMessage())


def unknown(model: BaseModel, path: str = "") -> set[str]:
    """Paths of the fields that the SDK's models do not name and X's specification does not, either."""
    found = {f"{path}.{name}" for name in model.model_extra or ()}
    found = {field for field in found if not NOT_MODELLED.search(field)}
    for name in type(model).model_fields:
        value = getattr(model, name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, BaseModel):
                found |= unknown(item, f"{path}.{name}")
    return found


def no_retry(**options) -> StreamConfig:
    return StreamConfig(max_retries=0, timeout=30, **options)


class XCase(Case):
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        super().setUp()
        self.address = self.enterContext(fake("x", "--rate", "400", *self.options))
        self.client = self.connect()
        logger, refused = logging.getLogger("xdk.streaming"), Refused()
        logger.addHandler(refused)
        self.addCleanup(logger.removeHandler, refused)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False

    def connect(self, token: str = TOKEN) -> Client:
        client = Client(base_url=self.address, bearer_token=token)
        self.addCleanup(client.session.close)
        return client

    def change(self, **body):
        return self.client.stream.update_rules(UpdateRulesRequest.model_validate(body))

    def rules(self, **query):
        return [rule for page in self.client.stream.get_rules(**query) for rule in page.data or []]

    def posts(self, count: int, config: StreamConfig | None = None, **query):
        stream = self.client.stream.posts(stream_config=config or no_retry(), **query)
        posts = list(islice(stream, count))
        stream.close()
        self.assertEqual(len(posts), count)
        return posts

    def error(self, client: Client | None = None, config: StreamConfig | None = None, **query) -> StreamError:
        with self.assertRaises(StreamError) as raised:
            next((client or self.client).stream.posts(stream_config=config or no_retry(), **query))
        return raised.exception


class Rules(XCase):
    def test_add_list_count_delete(self):
        self.assertEqual(self.rules(), [])
        added = self.change(add=RULES)
        self.assertEqual((added.meta.summary.created, added.meta.summary.not_created), (3, 0))
        self.assertFalse(added.errors)
        self.assertEqual([(rule.value, rule.tag) for rule in added.data], [(r["value"], r["tag"]) for r in RULES])
        self.assertEqual(self.rules(), added.data)
        self.assertEqual(self.rules(max_results=1), added.data, "a page each")
        self.assertEqual(self.rules(ids=[added.data[1].id]), added.data[1:2])

        counts = self.client.stream.get_rule_counts().data
        self.assertEqual((counts.project_rules_count, counts.cap_per_project), (3, 1000))
        self.assertEqual(counts.client_app_rules_count.rule_count, 3)
        self.assertFalse(unknown(counts))

        deleted = self.change(delete={"ids": [added.data[0].id, "1"]})
        self.assertEqual((deleted.meta.summary.deleted, deleted.meta.summary.not_deleted), (1, 1))
        self.assertEqual(self.rules(), added.data[1:])

    def test_what_cannot_be_added(self):
        self.change(add=RULES[:1])
        again = self.change(add=[RULES[0], {"value": "foo:bar"}, {"value": "bounding_box:[0 0 5 5]"}])
        self.assertEqual((again.meta.summary.created, again.meta.summary.not_created), (0, 3))
        self.assertEqual(
            [p.title for p in again.errors], ["DuplicateRule", "UnprocessableEntity", "UnprocessableEntity"]
        )
        self.assertEqual(len(self.rules()), 1)

    def test_usage(self):
        self.change(add=RULES)
        self.posts(20)
        usage = self.client.usage.get().data
        self.assertGreaterEqual(int(usage.project_usage), 20)
        self.assertEqual(int(usage.project_cap), 3_000_000)


class Stream(XCase):
    def test_nothing_but_the_default_fields(self):
        self.change(add=RULES)
        for post in self.posts(100):
            self.assertEqual(set(post.model_dump(exclude_none=True)), {"data", "matching_rules"})
            self.assertEqual(set(post.data.model_dump(exclude_none=True)), {"id", "text", "edit_history_tweet_ids"})

    def test_every_field(self):
        self.change(add=RULES)
        tags = {rule.id: rule.tag for rule in self.rules()}
        posts = self.posts(400, **EVERYTHING)
        seen = set()
        for post in posts:
            self.assertEqual(unknown(post), set())
            seen |= self.check_post(post, tags)
        kinds = {"retweeted", "quoted", "original", "point", "place", "note", "link", "bcn:box", "bcn:text", "rt:bcn"}
        self.assertEqual(seen, kinds)
        self.assertEqual(len({post.data.id for post in posts}), len(posts), "each post once")

    def check_post(self, post, tags: dict[str, str]) -> set[str]:
        """Checks a post. Returns what it is an example of."""
        data, includes = post.data, post.includes
        (rule,) = post.matching_rules
        self.assertEqual(rule.tag, tags[rule.id])
        seen = {rule.tag, data.referenced_tweets[0].type if data.referenced_tweets else "original"}

        time_ms = (int(data.id) >> 22) + EPOCH_MS
        created = datetime.strptime(data.created_at, "%Y-%m-%dT%H:%M:%S.000Z").replace(tzinfo=UTC)
        self.assertEqual(created.timestamp(), time_ms // 1000)
        self.assertEqual(data.edit_history_tweet_ids, [data.id])
        self.assertEqual([user.id for user in includes.users], [data.author_id])

        self.check_entities(data.text, data.entities)
        if data.note_tweet:
            seen.add("note")
            self.assertGreater(len(data.note_tweet.text), 280)
            self.check_entities(data.note_tweet.text, data.note_tweet.entities)
        if data.entities.urls:
            seen.add("link")
        for reference in data.referenced_tweets or []:
            self.assertEqual([tweet.id for tweet in includes.tweets], [reference.id])
        if rule.tag == "bcn:text":
            self.assertEqual(data.lang, "fr")
        self.assertEqual(bool(data.geo), rule.tag == "bcn:box", "a box matches what has a place, and never a repost")
        if data.geo:
            west, south, east, north = 2.05, 41.31, 2.23, 41.47
            if data.geo.coordinates:
                seen.add("point")
                longitude, latitude = data.geo.coordinates.coordinates
                box = [longitude, latitude, longitude, latitude]
            else:
                seen.add("place")
                (place,) = includes.places
                self.assertEqual(place.id, data.geo.place_id)
                box = place.geo.bbox
            self.assertTrue(west <= box[0] <= box[2] <= east and south <= box[1] <= box[3] <= north, box)
        return seen

    def check_entities(self, text: str, entities) -> None:
        """Each entity stands where it says, counted in code points."""
        found = [
            *((item, "#" + item.tag) for item in entities.hashtags or []),
            *((item, "@" + item.username) for item in entities.mentions or []),
            *((item, item.url) for item in entities.urls or []),
        ]
        self.assertEqual([text[item.start : item.end] for item, _ in found], [wanted for _, wanted in found])
        self.assertEqual(len(entities.hashtags or []), text.count("#"), text)

    def test_characters_that_are_cut_between_chunks(self):
        self.change(add=RULES[1:2])
        for post in self.posts(50, config=no_retry(chunk_size=1)):
            self.assertIn("東京", post.data.text)

    def test_a_stream_without_rules_a_token_or_a_right(self):
        error = self.error()
        self.assertEqual((error.status_code, error.error_type), (409, StreamErrorType.CLIENT_ERROR))
        self.assertIn("RuleConfigurationIssue", error.response_body)
        self.change(add=RULES)
        error = self.error(self.connect("wrong"))
        self.assertEqual((error.status_code, error.error_type), (401, StreamErrorType.AUTHENTICATION_ERROR))
        error = self.error(backfill_minutes=5)
        self.assertEqual((error.status_code, error.error_type), (400, StreamErrorType.CLIENT_ERROR))

    def test_a_second_connection(self):
        self.change(add=RULES)
        first = self.client.stream.posts(stream_config=no_retry())
        next(first)
        errors = []
        self.error(self.connect(), no_retry(on_error=errors.append))
        self.assertEqual((errors[0].status_code, errors[0].error_type), (429, StreamErrorType.RATE_LIMITED))
        self.assertIn("TooManyConnections", errors[0].response_body)
        next(first)
        first.close()


class Enterprise(XCase):
    options = ("--with", "enterprise", "--with", "gzip")

    def test_backfill_and_compression(self):
        self.change(add=RULES)
        with self.client.session.get(f"{self.address}/2/tweets/search/stream", stream=True) as answer:
            self.assertEqual(answer.headers["content-encoding"], "gzip")
        # Until the server sees that a client is gone, the next one gets a 429.
        patient = StreamConfig(initial_backoff=0.1, max_backoff=1, timeout=30)
        before = {post.data.id for post in self.posts(50, patient)}
        again = {post.data.id for post in self.posts(300, patient, backfill_minutes=5)}
        self.assertLessEqual(before, again)


class NewNames(XCase):
    options = ("--with", "new-names")

    def test_the_sdk_knows_the_old_names_only(self):
        """Since August 2026, X has other names for some fields. The SDK lets them through without a type."""
        self.change(add=RULES)
        names = set().union(*(unknown(post) for post in self.posts(200, **EVERYTHING)))
        new = {".data.referenced_posts", ".data.note_post", ".data.edit_history_post_ids", ".includes.posts"}
        self.assertEqual(names, new)


class Errors(XCase):
    options = ("--script", "errors")

    def test_what_the_sdk_retries(self):
        self.change(add=RULES)
        errors = []
        config = StreamConfig(initial_backoff=0.01, max_backoff=0.01, on_error=errors.append, timeout=30)
        error = self.error(config=config)
        self.assertEqual([error.status_code for error in errors], [503, 500, 429, 429, 429, 409])
        self.assertEqual(error.status_code, 409)


if __name__ == "__main__":
    unittest.main()
