"""A made-up archive as twarc2 writes it: one page of a search a line, each with its `includes` and `__twarc`."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

EPOCH_MS = 1_288_834_974_657
START_MS = 1_779_490_800_000  # 2026-05-22T23:00:00Z: there is a midnight in it
WORDS = [
    "harbour",
    "sunrise",
    "Montréal",
    "déjà vu",
    "東京",
    "🚀",
    "rain &amp; snow",
    "strike",
    "bridge",
    'so "quoted"',
]
# Spellings of one tag count as one.
TAGS = ["wx", "WX", "GoHabsGo", "gohabsgo", "Montréal", "MONTRÉAL", "東京", "news", "Ünïcode_1"]
LANGUAGES = ["en", "en", "en", "fr", "ja", "es", "und", "qme"]
HOSTS = ["news.example", "www.video.example", "blog.example:8080", "x.com"]
AUTHORS = [str(1_200_000_000_000_000_000 + n) for n in range(400)]


class Maker:
    """Makes posts up. The same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.originals: list[dict] = []
        self.count = 0

    def post(self, time_ms: int) -> tuple[dict, list[dict], list[dict]]:
        """A post, the posts that it refers to, and their places."""
        dice, self.count = self.dice, self.count + 1
        kind = dice.choices(["original", "repost", "quote", "reply", "reply and quote"], [40, 25, 12, 18, 5])[0]
        if not self.originals or kind == "original":
            post, places = self.written(time_ms)
            self.originals = [*self.originals[-50:], post]
            return post, [], places
        original = dice.choice(self.originals)
        if kind == "repost":
            author = self.author()
            text = f"RT @u{original['author_id'][-3:]}: {original['text']}"
            start = text.index(":") + 2
            entities = {
                "mentions": [
                    {"start": 3, "end": start - 2, "username": text[4 : start - 2], "id": original["author_id"]}
                ]
            }
            # Entities whose text is cut off are not among those of a repost.
            if len(text) > 140:
                text = text[:139] + "…"
            for name, found in original["entities"].items():
                kept = [{**one, "start": one["start"] + start, "end": one["end"] + start} for one in found]
                kept = [one for one in kept if one["end"] < 139]
                if kept:
                    entities[name] = entities.get(name, []) + kept
            post = self.bare(time_ms, author, text, original["lang"], entities)
            post["referenced_tweets"] = [{"type": "retweeted", "id": original["id"]}]
            return post, [original], []
        post, places = self.written(time_ms)
        references = []
        if kind.startswith("reply"):
            references.append({"type": "replied_to", "id": original["id"]})
            post["in_reply_to_user_id"] = original["author_id"]
        if kind.endswith("quote"):
            references.append({"type": "quoted", "id": original["id"]})
        post["referenced_tweets"] = references
        # Now and then the other post is gone; the page then names it under `errors`.
        return post, [original] if dice.random() < 0.9 else [], places

    def author(self) -> str:
        return AUTHORS[int(len(AUTHORS) * self.dice.random() ** 2)]

    def bare(self, time_ms: int, author: str, text: str, lang: str, entities: dict) -> dict:
        post_id = str(((time_ms - EPOCH_MS) << 22) | (self.count & 0x3F_FFFF))
        return {
            "id": post_id,
            "text": text,
            "created_at": datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "author_id": author,
            "conversation_id": post_id,
            "lang": lang,
            "possibly_sensitive": False,
            "reply_settings": "everyone",
            "edit_history_tweet_ids": [post_id],
            "entities": entities,
            "public_metrics": {
                name: self.dice.randrange(50)
                for name in ("retweet_count", "reply_count", "like_count", "quote_count", "bookmark_count")
            },
        }

    def written(self, time_ms: int) -> tuple[dict, list[dict]]:
        """A post with words of its own, and its place."""
        dice = self.dice
        text, entities = "", {}

        def add(word: str, kind: str | None = None, **entity) -> None:
            nonlocal text
            text += " " if text else ""
            if kind:
                entities.setdefault(kind, []).append({"start": len(text), "end": len(text) + len(word), **entity})
            text += word

        for _ in range(dice.randrange(1, 12)):
            add(dice.choice(WORDS))
        for tag in dice.sample(TAGS, dice.choice([0, 0, 1, 1, 2, 3])):
            add("#" + tag, "hashtags", tag=tag)
        for _ in range(dice.choice([0, 0, 0, 1, 2])):
            other = self.author()
            add(f"@u{other[-3:]}", "mentions", username=f"u{other[-3:]}", id=other)
        if dice.random() < 0.3:
            host = dice.choice(HOSTS)
            link = f"https://t.co/{dice.randrange(10**9)}"
            add(link, "urls", url=link, expanded_url=f"https://{host}/a?b=1", display_url=f"{host}/a?b=1")
        post = self.bare(time_ms, self.author(), text, dice.choice(LANGUAGES), entities)
        return post, self.place(post)

    def place(self, post: dict) -> list[dict]:
        """Now and then a post has a point, a place, or both."""
        dice = self.dice
        places = []
        chance = dice.random()
        if chance < 0.10:
            places = [
                {
                    "id": f"{dice.randrange(2**60):016x}",
                    "full_name": "Somewhere, Here",
                    "name": "Somewhere",
                    "place_type": "city",
                    "country": "Here",
                    "country_code": "QZ",
                    "geo": {"type": "Feature", "bbox": [2.05, 41.31, 2.23, 41.47], "properties": {}},
                }
            ]
            post["geo"] = {"place_id": places[0]["id"]}
        if 0.06 < chance < 0.14:
            point = {"type": "Point", "coordinates": [round(dice.uniform(2, 3), 4), round(dice.uniform(41, 42), 4)]}
            post.setdefault("geo", {})["coordinates"] = point
        return places


def page(posts: list[dict], others: list[dict], places: list[dict]) -> dict:
    """One answer of the search, the newest post first, as twarc2 writes it."""
    included = {post["id"]: post for post in others}
    users = {post["author_id"] for post in [*posts, *included.values()]}
    asked = {reference["id"] for post in posts for reference in post.get("referenced_tweets", [])}
    gone = sorted(asked - set(included))
    answer = {
        "data": sorted(posts, key=lambda post: int(post["id"]), reverse=True),
        "includes": {
            "users": [{"id": user, "name": user[-3:], "username": f"u{user[-3:]}"} for user in sorted(users)],
            "tweets": list(included.values()),
            "places": places,
        },
        "errors": [
            {
                "resource_id": post_id,
                "parameter": "referenced_tweets.id",
                "resource_type": "tweet",
                "title": "Not Found Error",
                "value": post_id,
                "detail": f"Could not find tweet with referenced_tweets.id: [{post_id}].",
                "type": "https://api.twitter.com/2/problems/resource-not-found",
            }
            for post_id in gone
        ],
        "meta": {"newest_id": posts[-1]["id"], "oldest_id": posts[0]["id"], "result_count": len(posts)},
        "__twarc": {
            "url": "https://api.twitter.com/2/tweets/search/recent?query=made-up",
            "version": "2.14.0",
            "retrieved_at": "2026-05-23T12:00:00+00:00",
        },
    }
    for part, empty in ((answer["includes"], ("tweets", "places")), (answer, ("errors",))):
        for name in empty:
            if not part[name]:
                del part[name]
    return answer


def write(path: Path, posts: int, seed: int = 1, a_page: int = 100) -> None:
    """Writes an archive of this many posts over three hours. One page in five comes twice, as when a search is repeated."""
    maker = Maker(seed)
    times = sorted(maker.dice.randrange(START_MS, START_MS + 3 * 3_600_000) for _ in range(posts))
    made = [maker.post(time_ms) for time_ms in times]
    pages = []
    for start in range(0, posts, a_page):
        parts = made[start : start + a_page]
        others = [other for _, others, _ in parts for other in others]
        places = [place for _, _, places in parts for place in places]
        # The place of a post that another one refers to is not in the answer.
        pages.append(page([post for post, _, _ in parts], others, places))
    pages.reverse()
    lines = []
    for number, one in enumerate(pages):
        lines += [json.dumps(one, ensure_ascii=False)] * (2 if number % 5 == 0 else 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
