// Dapr's state samples with its Java SDK, beside a sidecar. The SDK waits for the sidecar over HTTP, then speaks gRPC.
// Prints a line for each sample and ends with an error when an answer is not the one that the sample promises.

import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;
import io.dapr.client.DaprPreviewClient;
import io.dapr.client.domain.State;
import io.dapr.client.domain.StateOptions;
import io.dapr.client.domain.StateOptions.Concurrency;
import io.dapr.client.domain.StateOptions.Consistency;
import io.dapr.client.domain.TransactionalStateOperation;
import io.dapr.client.domain.TransactionalStateOperation.OperationType;
import io.dapr.client.domain.query.Query;
import io.dapr.client.domain.query.Sorting;
import io.dapr.client.domain.query.filters.AndFilter;
import io.dapr.client.domain.query.filters.EqFilter;
import io.dapr.exceptions.DaprException;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

public final class StateSamples {
  private static final String STORE = "statestore";
  private static final List<String> KEYS =
      List.of("order_1", "order_2", "order_3", "brief", "query_1", "query_2", "query_3");
  private static final int SIDECAR_WITHIN_MS = 10_000;
  private static final StateOptions CREATE = new StateOptions(null, Concurrency.FIRST_WRITE);
  private static final StateOptions STRONG = new StateOptions(Consistency.STRONG, null);

  /** A value of the queries; the SDK stores it as JSON. */
  public record Person(String team, String city, int id) {}

  private final DaprClient client;
  private final DaprPreviewClient preview;

  private StateSamples(DaprClient client, DaprPreviewClient preview) {
    this.client = client;
    this.preview = preview;
  }

  public static void main(String[] args) {
    int code = 0;
    // Host and ports come from DAPR_HTTP_ENDPOINT and DAPR_GRPC_ENDPOINT, which `pannier run` sets.
    DaprClientBuilder builder = new DaprClientBuilder();
    try (DaprClient client = builder.build(); DaprPreviewClient preview = builder.buildPreviewClient()) {
      client.waitForSidecar(SIDECAR_WITHIN_MS).block();
      new StateSamples(client, preview).run();
    } catch (Exception error) {
      error.printStackTrace();
      code = 1;
    }
    // Threads of the SDK's HTTP client, which its close leaves, would keep the process alive.
    System.exit(code);
  }

  private void run() throws InterruptedException {
    clear();
    saveAndGet();
    etags();
    options();
    bulk();
    transaction();
    transactionConflict();
    expiry();
    query();
    metadata();
    clear();
  }

  private static void say(String sample, String result) {
    System.out.println(sample + ": " + result);
  }

  private static void check(Object value, Object wanted) {
    if (!Objects.equals(value, wanted)) {
      throw new IllegalStateException("got " + value + ", want " + wanted);
    }
  }

  /** Returns when the call was refused because of an ETag or of first-write. */
  private static void refused(Runnable call) {
    try {
      call.run();
    } catch (DaprException error) {
      check(error.getErrorCode(), "ABORTED");
      return;
    }
    throw new IllegalStateException("was not refused");
  }

  private State<String> get(String key) {
    return client.getState(STORE, key, String.class).block();
  }

  private void save(String key, String value, String etag, StateOptions options) {
    client.saveState(STORE, key, etag, value, options).block();
  }

  private void clear() {
    KEYS.forEach(key -> client.deleteState(STORE, key).block());
  }

  private void saveAndGet() {
    client.saveState(STORE, "order_1", "250").block();
    check(get("order_1").getValue(), "250");
    check(get("order_2").getValue(), null);
    say("save and get", "order_1 is 250, order_2 is not there");
  }

  private void etags() {
    String first = get("order_1").getEtag();
    save("order_1", "300", first, null);
    check(get("order_1").getValue(), "300");
    say("save with ETag", "order_1 was at ETag " + first + " and is 300 now");

    refused(() -> save("order_1", "1", first, null));
    check(get("order_1").getValue(), "300");
    say("ETag conflict", "a save with ETag " + first + " is refused, order_1 is still 300");

    refused(() -> client.deleteState(STORE, "order_1", first, null).block());
    client.deleteState(STORE, "order_1", get("order_1").getEtag(), null).block();
    check(get("order_1").getValue(), null);
    say("delete with ETag", "refused with the old ETag, done with the new one");
  }

  private void options() {
    save("order_1", "first", null, CREATE);
    refused(() -> save("order_1", "second", null, CREATE));
    check(get("order_1").getValue(), "first");
    say("first-write", "order_1 is written once, the second writer is refused");

    save("order_1", "strong", null, STRONG);
    check(client.getState(STORE, "order_1", STRONG, String.class).block().getValue(), "strong");
    say("strong consistency", "order_1 is saved and read with it");
  }

  private void bulk() {
    client.saveBulkState(STORE, List.of(new State<>("order_1", "250", ""), new State<>("order_2", "550", ""))).block();
    List<String> keys = List.of("order_1", "order_2", "order_3");
    Map<String, String> found = client.getBulkState(STORE, keys, String.class).block().stream()
        .collect(Collectors.toMap(State::getKey, state -> Objects.toString(state.getValue(), "")));
    check(found, Map.of("order_1", "250", "order_2", "550", "order_3", ""));
    say("bulk save and get", "order_1 is 250, order_2 is 550, order_3 is not there");
  }

  private static TransactionalStateOperation<String> upsert(String key, String value, String etag) {
    return new TransactionalStateOperation<>(OperationType.UPSERT, new State<>(key, value, etag));
  }

  private void transaction() {
    client.executeStateTransaction(STORE, List.of(
        upsert("order_3", "shipped", ""),
        new TransactionalStateOperation<>(OperationType.DELETE, new State<String>("order_2")))).block();
    check(get("order_3").getValue(), "shipped");
    check(get("order_2").getValue(), null);
    say("transaction", "order_3 is written and order_2 deleted");
  }

  private void transactionConflict() {
    String stale = get("order_3").getEtag();
    client.saveState(STORE, "order_3", "lost").block();
    refused(() -> client.executeStateTransaction(STORE, List.of(
        upsert("order_2", "half", ""), upsert("order_3", "found", stale))).block());
    check(get("order_2").getValue(), null);
    check(get("order_3").getValue(), "lost");
    say("transaction conflict", "one stale ETag, and nothing is written");
  }

  private void expiry() throws InterruptedException {
    client.saveState(STORE, "brief", null, "here", Map.of("ttlInSeconds", "3"), null).block();
    State<String> found = get("brief");
    check(found.getValue(), "here");
    check(found.getMetadata().containsKey("ttlExpireTime"), true);
    for (int tries = 0; tries < 100 && get("brief").getValue() != null; tries++) {
      Thread.sleep(100);
    }
    check(get("brief").getValue(), null);
    say("TTL", "brief is gone after 3 seconds");
  }

  private void query() {
    List<Person> people = List.of(
        new Person("samples", "Seattle", 1), new Person("samples", "Portland", 2), new Person("samples", "Seattle", 3));
    people.forEach(person -> client.saveState(STORE, "query_" + person.id(), person).block());
    Query wanted = new Query()
        .setFilter(new AndFilter()
            .addClause(new EqFilter<>("team", "samples"))
            .addClause(new EqFilter<>("city", "Seattle")))
        .setSort(List.of(new Sorting("id", Sorting.Order.DESC)));
    List<Integer> ids = preview.queryState(STORE, wanted, Person.class).block().getResults().stream()
        .map(item -> item.getValue().id())
        .toList();
    check(ids, List.of(3, 1));
    say("query", "3 and 1 live in Seattle");
  }

  private void metadata() {
    var found = client.getMetadata().block();
    var store = found.getComponents().stream().filter(each -> each.getName().equals(STORE)).findFirst().orElseThrow();
    check(store.getCapabilities().containsAll(List.of("ETAG", "TRANSACTIONAL", "TTL")), true);
    say("metadata", found.getId() + " has " + store.getName() + " of type " + store.getType());
  }
}
