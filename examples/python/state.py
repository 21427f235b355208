"""Dapr's state samples with its Python SDK, beside a sidecar.

Prints a line for each sample and ends with an error when an answer is not the one that the sample promises. The SDK waits
for the sidecar over HTTP, then speaks gRPC; actor state goes over HTTP.
"""

import asyncio
import json
import time
import warnings

import grpc
from dapr.clients import DaprActorHttpClient, DaprClient
from dapr.clients.exceptions import DaprGrpcError
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._state import Concurrency, Consistency, StateItem, StateOptions
from dapr.serializers import DefaultJSONSerializer

STORE = "statestore"
KEYS = ["order_1", "order_2", "order_3", "brief", "query_1", "query_2", "query_3"]

# Each query warns that the API is an alpha one.
warnings.filterwarnings("ignore", message="The State Store Query API is an Alpha version")


def say(sample, result):
    print(f"{sample}: {result}", flush=True)


def check(value, wanted):
    """Unlike `assert`, it checks under `python -O` too."""
    if value != wanted:
        raise AssertionError(f"got {value!r}, want {wanted!r}")


def refused(call, *args, **kwargs):
    """Returns when the call was refused because of an ETag or of first-write."""
    try:
        call(*args, **kwargs)
    except DaprGrpcError as error:
        check(error.code(), grpc.StatusCode.ABORTED)
        return
    raise AssertionError("was not refused")


def clear(dapr):
    for key in KEYS:
        dapr.delete_state(STORE, key)


def save_and_get(dapr):
    dapr.save_state(STORE, "order_1", "250")
    check(dapr.get_state(STORE, "order_1").data, b"250")
    check(dapr.get_state(STORE, "order_2").data, b"")
    say("save and get", "order_1 is 250, order_2 is not there")


def etags(dapr):
    first = dapr.get_state(STORE, "order_1").etag
    dapr.save_state(STORE, "order_1", "300", etag=first)
    check(dapr.get_state(STORE, "order_1").data, b"300")
    say("save with ETag", f"order_1 was at ETag {first} and is 300 now")

    refused(dapr.save_state, STORE, "order_1", "1", etag=first)
    check(dapr.get_state(STORE, "order_1").data, b"300")
    say("ETag conflict", f"a save with ETag {first} is refused, order_1 is still 300")

    refused(dapr.delete_state, STORE, "order_1", etag=first)
    dapr.delete_state(STORE, "order_1", etag=dapr.get_state(STORE, "order_1").etag)
    check(dapr.get_state(STORE, "order_1").data, b"")
    say("delete with ETag", "refused with the old ETag, done with the new one")


def options(dapr):
    create = StateOptions(consistency=Consistency.eventual, concurrency=Concurrency.first_write)
    dapr.save_state(STORE, "order_1", "first", options=create)
    refused(dapr.save_state, STORE, "order_1", "second", options=create)
    check(dapr.get_state(STORE, "order_1").text(), "first")
    say("first-write", "order_1 is written once, the second writer is refused")

    strong = StateOptions(consistency=Consistency.strong, concurrency=Concurrency.last_write)
    dapr.save_state(STORE, "order_1", "strong", options=strong)
    check(dapr.get_state(STORE, "order_1").text(), "strong")
    say("strong consistency", "order_1 is saved with it")


def bulk(dapr):
    dapr.save_bulk_state(STORE, [StateItem(key="order_1", value="250"), StateItem(key="order_2", value="550")])
    items = dapr.get_bulk_state(STORE, ["order_1", "order_2", "order_3"]).items
    check({item.key: item.data for item in items}, {"order_1": b"250", "order_2": b"550", "order_3": b""})
    say("bulk save and get", "order_1 is 250, order_2 is 550, order_3 is not there")


def transaction(dapr):
    delete = TransactionOperationType.delete
    dapr.execute_state_transaction(
        STORE,
        [
            TransactionalStateOperation(key="order_3", data="shipped"),
            TransactionalStateOperation(operation_type=delete, key="order_2"),
        ],
    )
    check(dapr.get_state(STORE, "order_3").text(), "shipped")
    check(dapr.get_state(STORE, "order_2").data, b"")
    say("transaction", "order_3 is written and order_2 deleted")

    stale = dapr.get_state(STORE, "order_3").etag
    dapr.save_state(STORE, "order_3", "lost")
    half = [
        TransactionalStateOperation(key="order_2", data="half"),
        TransactionalStateOperation(key="order_3", data="found", etag=stale),
    ]
    refused(dapr.execute_state_transaction, STORE, half)
    check(dapr.get_state(STORE, "order_2").data, b"")
    check(dapr.get_state(STORE, "order_3").text(), "lost")
    say("transaction conflict", "one stale ETag, and nothing is written")


def expiry(dapr):
    dapr.save_state(STORE, "brief", "here", state_metadata={"ttlInSeconds": "3"})
    check(dapr.get_state(STORE, "brief").text(), "here")
    deadline = time.monotonic() + 10
    while dapr.get_state(STORE, "brief").data and time.monotonic() < deadline:
        time.sleep(0.1)
    check(dapr.get_state(STORE, "brief").data, b"")
    say("TTL", "brief is gone after 3 seconds")


def query(dapr):
    people = [("query_1", "Seattle", 1), ("query_2", "Portland", 2), ("query_3", "Seattle", 3)]
    for key, city, number in people:
        value = json.dumps({"team": "samples", "city": city, "id": number})
        dapr.save_state(STORE, key, value, state_metadata={"contentType": "application/json"})
    wanted = {
        "filter": {"AND": [{"EQ": {"team": "samples"}}, {"EQ": {"city": "Seattle"}}]},
        "sort": [{"key": "id", "order": "DESC"}],
    }
    results = dapr.query_state(STORE, json.dumps(wanted)).results
    check([item.json()["id"] for item in results], [3, 1])
    say("query", "3 and 1 live in Seattle")


async def actor_state():
    actors = DaprActorHttpClient(DefaultJSONSerializer())
    operations = [{"operation": "upsert", "request": {"key": "mood", "value": "calm"}}]
    await actors.save_state_transactionally("Robot", "r2", json.dumps(operations).encode())
    check(json.loads(await actors.get_state("Robot", "r2", "mood")), "calm")
    say("actor state", "Robot r2 is calm")


def metadata(dapr):
    dapr.set_metadata("sample", "python")
    found = dapr.get_metadata()
    check(found.extended_metadata["sample"], "python")
    [store] = [each for each in found.registered_components if each.name == STORE]
    check({"ETAG", "TRANSACTIONAL", "TTL"} - set(store.capabilities), set())
    say("metadata", f"{found.application_id} has {store.name} of type {store.type}")


def main():
    # Host and ports come from DAPR_HTTP_ENDPOINT and DAPR_GRPC_ENDPOINT, which `pannier run` sets.
    with DaprClient() as dapr:
        clear(dapr)
        for sample in (save_and_get, etags, options, bulk, transaction, expiry, query):
            sample(dapr)
        asyncio.run(actor_state())
        metadata(dapr)
        clear(dapr)


if __name__ == "__main__":
    main()
