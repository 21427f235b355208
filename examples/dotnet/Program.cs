// Dapr's state samples with its .NET SDK, beside a sidecar. The SDK waits for the sidecar over HTTP, then speaks gRPC.
// Prints a line for each sample and ends with an error when an answer is not the one that the sample promises.
using System.Text.Json;
using Dapr;
using Dapr.Client;
using Grpc.Core;

const string Store = "statestore";
string[] keys = ["order_1", "order_2", "order_3", "brief", "query_1", "query_2", "query_3"];

// Host and ports come from DAPR_HTTP_ENDPOINT and DAPR_GRPC_ENDPOINT, which `pannier run` sets.
using var client = new DaprClientBuilder().Build();
using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
await client.WaitForSidecarAsync(limit.Token);

await Clear();
await SaveAndGet();
await ETags();
await Options();
await Bulk();
await Transaction();
await TransactionConflict();
await Expiry();
await Query();
await Metadata();
await Clear();

void Say(string sample, string result) => Console.WriteLine($"{sample}: {result}");

void Check(bool holds, string what)
{
    if (!holds) throw new InvalidOperationException($"does not hold: {what}");
}

async Task Expect(string key, string? value)
{
    var found = await client.GetStateAsync<string?>(Store, key);
    Check(found == value, $"{key}: got {found ?? "nothing"}, want {value ?? "nothing"}");
}

// Returns when the call was refused because of an ETag or of first-write.
async Task Refused(Func<Task> call)
{
    try
    {
        await call();
    }
    catch (DaprException error) when (error.InnerException is RpcException { StatusCode: StatusCode.Aborted })
    {
        return;
    }
    throw new InvalidOperationException("was not refused");
}

async Task Clear()
{
    foreach (var key in keys) await client.DeleteStateAsync(Store, key);
}

async Task SaveAndGet()
{
    await client.SaveStateAsync(Store, "order_1", "250");
    await Expect("order_1", "250");
    await Expect("order_2", null);
    Say("save and get", "order_1 is 250, order_2 is not there");
}

async Task ETags()
{
    var (_, first) = await client.GetStateAndETagAsync<string>(Store, "order_1");
    Check(await client.TrySaveStateAsync(Store, "order_1", "300", first), "saved with the ETag that was read");
    await Expect("order_1", "300");
    Say("save with ETag", $"order_1 was at ETag {first} and is 300 now");

    Check(!await client.TrySaveStateAsync(Store, "order_1", "1", first), "refused with the old ETag");
    await Expect("order_1", "300");
    Say("ETag conflict", $"a save with ETag {first} is refused, order_1 is still 300");

    Check(!await client.TryDeleteStateAsync(Store, "order_1", first), "not deleted with the old ETag");
    var (_, now) = await client.GetStateAndETagAsync<string>(Store, "order_1");
    Check(await client.TryDeleteStateAsync(Store, "order_1", now), "deleted with the new ETag");
    await Expect("order_1", null);
    Say("delete with ETag", "refused with the old ETag, done with the new one");
}

async Task Options()
{
    var create = new StateOptions { Concurrency = ConcurrencyMode.FirstWrite };
    await client.SaveStateAsync(Store, "order_1", "first", create);
    await Refused(() => client.SaveStateAsync(Store, "order_1", "second", create));
    await Expect("order_1", "first");
    Say("first-write", "order_1 is written once, the second writer is refused");

    var strong = new StateOptions { Consistency = ConsistencyMode.Strong };
    await client.SaveStateAsync(Store, "order_1", "strong", strong);
    Check(await client.GetStateAsync<string>(Store, "order_1", ConsistencyMode.Strong) == "strong", "a strong read");
    Say("strong consistency", "order_1 is saved and read with it");
}

async Task Bulk()
{
    await client.SaveBulkStateAsync(Store, new List<SaveStateItem<string>>
    {
        new("order_1", "250", null!),
        new("order_2", "550", null!),
    });
    var items = await client.GetBulkStateAsync(Store, new List<string> { "order_1", "order_2", "order_3" }, 10);
    var found = items.ToDictionary(item => item.Key, item => item.Value);
    Check(found.Count == 3 && found["order_1"] == "\"250\"" && found["order_2"] == "\"550\"", "two values of three");
    Check(string.IsNullOrEmpty(found["order_3"]), "order_3 is not there");
    Say("bulk save and get", "order_1 is 250, order_2 is 550, order_3 is not there");

    await client.DeleteBulkStateAsync(Store, new List<BulkDeleteStateItem>
    {
        new("order_1", null!),
        new("order_2", null!),
    });
    await Expect("order_1", null);
    await Expect("order_2", null);
    Say("bulk delete", "order_1 and order_2 are gone");
}

StateTransactionRequest Upsert(string key, string value, string? etag = null) =>
    new(key, JsonSerializer.SerializeToUtf8Bytes(value), StateOperationType.Upsert, etag!);

async Task Transaction()
{
    await client.SaveStateAsync(Store, "order_2", "550");
    await client.ExecuteStateTransactionAsync(Store, new List<StateTransactionRequest>
    {
        Upsert("order_3", "shipped"),
        new("order_2", null!, StateOperationType.Delete),
    });
    await Expect("order_3", "shipped");
    await Expect("order_2", null);
    Say("transaction", "order_3 is written and order_2 deleted");
}

async Task TransactionConflict()
{
    var (_, stale) = await client.GetStateAndETagAsync<string>(Store, "order_3");
    await client.SaveStateAsync(Store, "order_3", "lost");
    await Refused(() => client.ExecuteStateTransactionAsync(Store, new List<StateTransactionRequest>
    {
        Upsert("order_2", "half"),
        Upsert("order_3", "found", stale),
    }));
    await Expect("order_2", null);
    await Expect("order_3", "lost");
    Say("transaction conflict", "one stale ETag, and nothing is written");
}

async Task Expiry()
{
    var brief = new Dictionary<string, string> { ["ttlInSeconds"] = "3" };
    await client.SaveStateAsync(Store, "brief", "here", metadata: brief);
    await Expect("brief", "here");
    for (var tries = 0; tries < 100 && await client.GetStateAsync<string?>(Store, "brief") != null; tries++)
        await Task.Delay(100);
    await Expect("brief", null);
    Say("TTL", "brief is gone after 3 seconds");
}

async Task Query()
{
    var people = new[]
    {
        new Dictionary<string, object> { ["team"] = "samples", ["city"] = "Seattle", ["id"] = 1 },
        new Dictionary<string, object> { ["team"] = "samples", ["city"] = "Portland", ["id"] = 2 },
        new Dictionary<string, object> { ["team"] = "samples", ["city"] = "Seattle", ["id"] = 3 },
    };
    var json = new Dictionary<string, string> { ["contentType"] = "application/json" };
    foreach (var person in people) await client.SaveStateAsync(Store, $"query_{person["id"]}", person, metadata: json);
    const string wanted = """
        {
          "filter": {"AND": [{"EQ": {"team": "samples"}}, {"EQ": {"city": "Seattle"}}]},
          "sort": [{"key": "id", "order": "DESC"}]
        }
        """;
    var answer = await client.QueryStateAsync<JsonElement>(Store, wanted);
    var ids = answer.Results.Select(result => result.Data.GetProperty("id").GetInt32()).ToArray();
    Check(ids is [3, 1], "3 and 1, in this order");
    Say("query", "3 and 1 live in Seattle");
}

async Task Metadata()
{
    await client.SetMetadataAsync("sample", "dotnet");
    var found = await client.GetMetadataAsync();
    Check(found.Extended["sample"] == "dotnet", "the attribute that was set");
    var store = found.Components.Single(component => component.Name == Store);
    foreach (var capability in new[] { "ETAG", "TRANSACTIONAL", "TTL" })
        Check(store.Capabilities.Contains(capability), capability);
    Say("metadata", $"{found.Id} has {store.Name} of type {store.Type}");
}
