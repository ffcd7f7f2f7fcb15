"""Words in names of fields that identify them, how well a name matches, and platforms' words for the metrics."""

from __future__ import annotations

from streams.maps.fields import Field, words_of


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACTOR = _set(
    "user userid uid actor actorid account accountid viewer viewerid member memberid follower followerid "
    "liker fan listener listenerid customer customerid visitor visitorid reviewer subscriber person "
    "profile distinct anonymous client device from who username login principal subject voter reader "
    "wallet persona editor rater did"
)
ACTOR_FIRST = _set("actor follower liker viewer listener visitor reviewer from distinct")
"""Words of ACTOR that mean the actor even if the target is a person, too."""

TARGET = _set(
    "target targetid item itemid video videoid media mediaid track trackid song songid post postid status "
    "statusid content contentid article page pageid url uri object objectid episode episodeid clip clipid "
    "movie movieid film product asset story photo image reel stream channel followee followed following "
    "followeeid vendor business shop book show title program programme playlist to path request repo "
    "entity what slug asin guid subject message broadcaster"
)
TARGET_FIRST = _set("target followee followed following to object item broadcaster")
"""Words of TARGET that mean the target even with a word for a person (``target_user_id``)."""

KNOWN_IDS = ACTOR | TARGET
OWNER = _set("owner ownerid author authorid creator creatorid publisher artist artistid uploader channel channelid")
COUNTER = _set("count counts total totals sum views likes plays followers subscribers impressions")
"""Words of fields with numbers that are totals."""
QUANTITY = _set("count cnt quantity qty weight times")
"""Words of fields with the number of acts that a record stands for."""
EVENT_ID = _set("id uuid guid eventid event message messageid request requestid record activity nonce insert")
SESSION = _set("session sessionid sess sid visit visitid")
TIME = _set(
    "ts time timestamp at when date datetime occurred created sent published event happened played "
    "started start t logged received moment day seen"
)
NO_TIME = _set("updated modified expires expiry ingested processed deleted birth birthday dob release released")
REGISTERED = _set("registered registration joined since signup signed member")
"""Words that mean the creation of an account, whatever the other words are."""
CREATED = _set("created creation made opened")
AGENT = _set("agent ua useragent browser client")
ADDRESS = _set("ip addr address remote host forwarded xff ipaddress hops")
REFERRER = _set("referrer referer ref referral came referring")
COUNTRY = _set("country countrycode cc geo nation region")
WATCH = _set(
    "watch watched watchtime played play listen listened listening elapsed progress dwell viewed "
    "position spent consumed playduration watchms"
)
DURATION = _set("duration length runtime total run durationms long")
KIND = _set(
    "type kind event action verb metric op activity reaction name eventtype eventname category operation "
    "table collection coll rating"
)
UNDO = _set("undo removed deleted undone cancelled canceled unliked unfollowed withdrawn revoked isdeleted unlike")
ACTIVE = _set("active isactive enabled liked following")
"""Words of yes-or-no fields that mean the opposite of an undo."""

_VIEW = _set(
    "view viewed views playback play played plays pageview watch watched listen listened stream open read impression "
    "visit"
)
_LIKE = _set(
    "like liked likes favourite favorite favourited favorited fav heart upvote love star starred thumbsup clap vote "
    "reaction"
)
_FOLLOW = _set("follow followed follows subscribe subscribed subscription friend")
_UNDO = _set("un undo delete deleted remove removed cancel canceled cancelled withdraw withdrawn")
_NO_ACT = _set(
    "end ended stop stopped pause paused complete completed finish finished heartbeat ping progress "
    "failed error request list count load loaded ready buffer seek ad reject rejected accept invite"
)
NAMED = 2.0
"""A score of at least this means that the field's own name matches."""
IDS = frozenset(("id", "ids", "uuid", "guid", "key", "pk", "hash", "code", "number", "no"))
METRICS = {"view": _VIEW, "like": _LIKE, "follow": _FOLLOW}


def meaning(text: str) -> tuple[str, bool] | None:
    """(metric, whether it is an undo) of a platform's word for an act; None for any other word.

    >>> meaning("LIKE"), meaning("UNFOLLOW"), meaning("post.unliked"), meaning("video_play"), meaning("play_end")
    (('like', False), ('follow', True), ('like', True), ('view', False), None)
    """
    words = words_of(text)
    if any(each in _NO_ACT for each in words):
        return None
    if words in (("start",), ("started",)):
        return "view", False
    undone = any(each in _UNDO for each in words)
    for each in words:
        bare = each.removeprefix("un")
        for metric, known in METRICS.items():
            if each in known:
                return metric, undone
            if bare != each and bare in known:
                return metric, True
    return None


def is_bare_undo(text: str) -> bool:
    """Whether a word means an undo without naming the act: Undo, delete."""
    words = words_of(text)
    return bool(words) and all(each in _UNDO for each in words)


def metric_named(*names: str) -> str | None:
    """The metric in names of a file, a topic or fields; None if they contain several or none.

    >>> metric_named("likes-stream"), metric_named("change_stream")
    ('like', None)
    """
    every = (each for name in names for each in words_of(name) if each != "stream")  # any topic is a stream
    found = {known[0] for each in every if (known := meaning(each)) is not None}
    return found.pop() if len(found) == 1 else None


def hint(each: Field, known: frozenset[str]) -> float:
    """How well a field's name matches known words: 3 as a whole, 2 by a word, 2 or 0.5 by a word of a key above it."""
    if "".join(each.words) in known:
        return 3.0
    if any(term in known for term in each.words):
        return NAMED
    if any(term in known for term in each.around):
        return NAMED if set(each.words) <= IDS else 0.5
    return 0.0


def is_counter(each: Field) -> bool:
    """Whether the values are totals, such as a number of views until now."""
    return is_id_number(each) and not COUNTER.isdisjoint(each.words)


def inside(each: Field, known: frozenset[str]) -> bool:
    """Whether the key directly above a field is a known word."""
    above = words_of(each.path[-2]) if len(each.path) > 1 else ()
    return "".join(above) in known or any(term in known for term in above)


def named_by(each: Field, known: frozenset[str]) -> float:
    """As ``hint``, but 0 if only a key above the field matches."""
    score = hint(each, known)
    return score if score >= NAMED else 0.0


def has_word(each: Field, known: frozenset[str]) -> bool:
    """Whether a field's own name has a known word."""
    return any(term in known for term in each.words) or "".join(each.words) in known


def has_around(each: Field, known: frozenset[str]) -> bool:
    """Whether a field's name or a key above it has a known word."""
    return any(term in known for term in (*each.around, *each.words))


def is_id_number(each: Field) -> bool:
    """Whether all values are numbers."""
    return len(each.numbers) == len(each.given)
