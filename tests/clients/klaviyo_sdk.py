"""Klaviyo's Python SDK (PyPI klaviyo-api 25.0.0) against the gateway over the demo's stub.

    klaviyo_sdk.py URL --profiles KEY --read-only KEY --full KEY     through the gateway: KEY with profiles:read, and the two levels
    klaviyo_sdk.py URL --upstream KEY                                straight to the stub: every allowed call, nothing refused

The keys may also stand in SCOPEGATE_KEY_PROFILES, SCOPEGATE_KEY_READ_ONLY, SCOPEGATE_KEY_FULL and SCOPEGATE_KEY_UPSTREAM, the URL in
SCOPEGATE_URL. Exit 0 when every check holds, else 1; each check prints one line. A key is never printed.
"""

import argparse
import json
import os
import sys
import traceback

from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import ForbiddenException, NotFoundException, UnauthorizedException

PROFILE = {"data": {"type": "profile", "attributes": {"email": "dora@orchard.example", "first_name": "Dora"}}}
PROFILE_CHANGE = {"data": {"type": "profile", "id": "1", "attributes": {"first_name": "Adele"}}}
LIST = {"data": {"type": "list", "attributes": {"name": "Pears"}}}
EVENT = {
    "data": {
        "type": "event",
        "attributes": {
            "properties": {"item": "apple"},
            "metric": {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}},
            "profile": {"data": {"type": "profile", "attributes": {"email": "ada@orchard.example"}}},
        },
    }
}
SUBSCRIPTION = {
    "data": {
        "type": "profile-subscription-bulk-create-job",
        "attributes": {
            "profiles": {
                "data": [
                    {
                        "type": "profile",
                        "attributes": {
                            "email": "ada@orchard.example",
                            "subscriptions": {"email": {"marketing": {"consent": "SUBSCRIBED"}}},
                        },
                    }
                ]
            }
        },
        "relationships": {"list": {"data": {"type": "list", "id": "LIST01"}}},
    }
}
AGGREGATE = {
    "data": {
        "type": "metric-aggregate",
        "attributes": {
            "metric_id": "METR01",
            "measurements": ["count"],
            "interval": "day",
            "filter": ["greater-or-equal(datetime,2026-03-01T00:00:00)", "less-than(datetime,2026-03-03T00:00:00)"],
        },
    }
}


def client(url, key):
    return KlaviyoAPI(key, max_retries=1, test_host=url)


def expect(found, wanted):
    assert found == wanted, f"expected {wanted!r}, found {found!r}"


def refused(kind, call, missing=None):
    """The call raises this exception. With `missing`, its JSON:API body names exactly these scopes."""
    try:
        call()
    except kind as refusal:
        body = refusal.body or refusal.data
        if missing is not None:
            error = json.loads(body)["errors"][0]
            expect(error["code"], "insufficient_scope")
            expect(error["meta"]["missing"], missing)
            assert all(error[name] for name in ("id", "title", "detail")), f"a part of the error is empty: {error}"
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def ids(answer):
    return [item.id for item in answer.data]


def reading_profiles(api):
    yield "profiles are listed", lambda: expect(ids(api.Profiles.get_profiles()), ["1", "2", "3"])
    yield "a page size is sent on", lambda: expect(ids(api.Profiles.get_profiles(page_size=2)), ["1", "2"])
    yield "one profile is read", lambda: expect(api.Profiles.get_profile("1").data.attributes.first_name, "Ada")
    yield "additional fields pass", lambda: expect(
        api.Profiles.get_profile("1", additional_fields_profile=["subscriptions"]).data.id, "1"
    )


def reading_all(api):
    yield from reading_profiles(api)
    yield "a profile comes with its lists and segments", lambda: expect(
        sorted(item["type"] for item in api.Profiles.get_profile("1", include=["lists", "segments"]).included),
        ["list", "list", "segment"],
    )
    yield "the lists of a profile", lambda: expect(ids(api.Profiles.get_lists_for_profile("2")), ["LIST01"])
    yield "lists", lambda: expect(ids(api.Lists.get_lists(include=["tags"])), ["LIST01", "LIST02"])
    yield "one list", lambda: expect(api.Lists.get_list("LIST02").data.attributes.name, "Harvest club")
    yield "the profiles of a list", lambda: expect(ids(api.Lists.get_profiles_for_list("LIST01")), ["1", "2"])
    yield "segments", lambda: expect(ids(api.Segments.get_segments()), ["SEGM01"])
    yield "tags", lambda: expect(ids(api.Tags.get_tags(include=["tag-group"])), ["TAG001"])
    yield "tag groups", lambda: expect(ids(api.Tags.get_tag_groups()), ["TGRP01"])
    yield "metrics", lambda: expect(ids(api.Metrics.get_metrics()), ["METR01", "METR02"])
    yield "events", lambda: expect(ids(api.Events.get_events(include=["metric", "profile"])), ["EVNT01", "EVNT02"])
    yield "flows", lambda: expect(ids(api.Flows.get_flows()), ["FLOW01"])
    yield "images", lambda: expect(ids(api.Images.get_images()), ["IMAG01"])
    yield "accounts", lambda: expect(ids(api.Accounts.get_accounts()), ["ACC001"])
    yield "an id full of signs keeps its bytes", lambda: expect(
        api.Catalogs.get_catalog_item("$custom:::$default:::APPLE-1").data.attributes.title, "Apple tree"
    )
    yield "a POST that only reads", lambda: expect(
        api.Metrics.query_metric_aggregates(AGGREGATE).data.attributes.data[0].measurements, {"count": [12.0, 7.0]}
    )
    yield "what is not there is the upstream's 404", lambda: refused(NotFoundException, lambda: api.Lists.get_list("NONE"))


def writing(api):
    yield "a profile is created", lambda: expect(
        api.Profiles.create_profile(PROFILE).data.attributes.email, "dora@orchard.example"
    )
    yield "a profile is changed", lambda: expect(
        api.Profiles.update_profile("1", PROFILE_CHANGE).data.attributes.first_name, "Adele"
    )
    yield "a list is created", lambda: expect(api.Lists.create_list(LIST).data.attributes.name, "Pears")
    yield "a list is deleted", lambda: api.Lists.delete_list("LIST01")
    yield "an event is taken", lambda: api.Events.create_event(EVENT)
    yield "profiles are subscribed", lambda: api.Profiles.bulk_subscribe_profiles(SUBSCRIPTION)


def denied(keys, url):
    profiles, read_only = client(url, keys["profiles"]), client(url, keys["read_only"])

    def deny(title, call, missing):
        return title, lambda: refused(ForbiddenException, call, missing)

    yield deny("lists are denied to profiles:read", lambda: profiles.Lists.get_lists(), ["lists:read"])
    yield deny(
        "include=lists asks for lists:read", lambda: profiles.Profiles.get_profile("1", include=["lists"]), ["lists:read"]
    )
    yield deny(
        "each member of include asks for its own",
        lambda: profiles.Profiles.get_profile("1", include=["lists", "segments"]),
        ["lists:read", "segments:read"],
    )
    yield deny(
        "reading is not writing", lambda: profiles.Profiles.create_profile(PROFILE), ["profiles:write"]
    )
    yield deny("read-only does not write", lambda: read_only.Lists.create_list(LIST), ["lists:write"])
    yield deny(
        "a bulk job asks for three scopes",
        lambda: read_only.Profiles.bulk_subscribe_profiles(SUBSCRIPTION),
        ["lists:write", "profiles:write", "subscriptions:write"],
    )
    for title, key in (("an invented key", "sg_" + "0" * 36), ("a foreign key", "pk_0123456789abcdef")):
        api = client(url, key)
        yield f"{title} is 401", lambda api=api: refused(UnauthorizedException, api.Profiles.get_profiles)


def checks(url, keys):
    if keys["upstream"]:
        upstream = client(url, keys["upstream"])
        yield from reading_all(upstream)
        yield from writing(upstream)
        return
    yield from reading_profiles(client(url, keys["profiles"]))
    yield from reading_all(client(url, keys["read_only"]))
    full = client(url, keys["full"])
    yield from reading_all(full)
    yield from writing(full)
    yield from denied(keys, url)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", default=os.environ.get("SCOPEGATE_URL"))
    for name in ("profiles", "read-only", "full", "upstream"):
        variable = "SCOPEGATE_KEY_" + name.upper().replace("-", "_")
        parser.add_argument(f"--{name}", default=os.environ.get(variable), metavar="KEY")
    found = parser.parse_args()
    keys = {name: getattr(found, name) for name in ("profiles", "read_only", "full", "upstream")}
    if not found.url or not (keys["upstream"] or all(keys[name] for name in ("profiles", "read_only", "full"))):
        parser.error("URL and either --upstream or all of --profiles, --read-only and --full are needed")
    return found.url, keys


def main():
    url, keys = arguments()
    failed = total = 0
    for title, check in checks(url, keys):
        total += 1
        try:
            check()
            print(f"ok    {title}")
        except Exception:  # each check is reported, whatever it raises
            failed += 1
            print(f"FAIL  {title}")
            traceback.print_exc(limit=-3, file=sys.stdout)
    print(f"{total - failed} of {total} checks hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
