// One `pannier run` from start to end: the sidecar in this process, the app beside it, and which of them ends the other.
import type { SidecarSettings } from "#sidecar/settings.ts";
import type { Sidecar, SidecarHost } from "#sidecar/sidecar.ts";
import { EXIT_FAILURE, EXIT_OK, type Host } from "../host.ts";
import type { StopSignal } from "../signals.ts";
import { App } from "./app.ts";
import { banner } from "./banner.ts";
import { appEnvironment } from "./environment.ts";
import { RunFailure, reason, systemCode } from "./failure.ts";
import { type Plan, withFreePorts } from "./plan.ts";
import { prefixFor } from "./prefix.ts";
import { StartLog } from "./start-log.ts";

export type StartSidecar = (settings: SidecarSettings, host: SidecarHost) => Promise<Sidecar>;

/** What ends a session. */
type Ending =
  | { readonly by: "signal"; readonly signal: StopSignal | "SIGHUP" }
  | { readonly by: "shutdown" }
  | { readonly by: "app"; readonly code: number };

/** How often ports are chosen anew when another program takes one between the choice and the start. */
const START_TRIES = 5;

export class Session {
  readonly #plan: Plan;
  readonly #host: Host;
  readonly #start: StartSidecar;
  readonly #log: StartLog;
  readonly #ending: PromiseWithResolvers<Ending> = Promise.withResolvers();
  readonly #cut: PromiseWithResolvers<number> = Promise.withResolvers();
  #sidecar: Sidecar | null = null;
  #app: App | null = null;
  /** A SIGHUP came before there was a sidecar to reload. */
  #reloadAsked = false;

  constructor(plan: Plan, host: Host, start: StartSidecar) {
    this.#plan = plan;
    this.#host = host;
    this.#start = start;
    const { given } = plan;
    // Who asks for a log wants all of it.
    const hold = !given.has("log-level") && !given.has("log-as-json");
    const prefix = prefixFor("PANNIER", host.stdout, host.env);
    this.#log = new StartLog((line) => void host.stdout.write(prefix + line), hold);
  }

  /** Runs until the app ends, the sidecar is told to shut down, or a signal comes. Gives the exit code. */
  async run(): Promise<number> {
    this.#host.signals.take({
      stop: (signal) => this.#ending.resolve({ by: "signal", signal }),
      hurry: () => this.#hurry(),
      hangUp: () => this.#hangUp(),
    });
    // Nobody reads any more: the same wish as a terminal that is closed.
    const outputGone = (): void => this.#ending.resolve({ by: "signal", signal: "SIGHUP" });
    this.#host.stdout.on("error", outputGone);
    try {
      return await Promise.race([this.#live(), this.#cut.promise]);
    } catch (error) {
      this.#log.failed();
      this.#app?.kill();
      await this.#sidecar?.close();
      throw error instanceof RunFailure ? error : new RunFailure(reason(error));
    } finally {
      await this.#host.signals.release();
    }
  }

  async #live(): Promise<number> {
    const started = await Promise.race([this.#startSidecar(), this.#ending.promise]);
    // Told to stop before anything was served: nothing to drain.
    if ("by" in started) return EXIT_OK;
    this.#announce(started);
    if (this.#reloadAsked) this.#hangUp();
    this.#app = this.#startApp(started);
    const exited = this.#app?.exited.then((code): Ending => ({ by: "app", code }));
    const ending = await Promise.race([this.#ending.promise, ...(exited === undefined ? [] : [exited])]);
    // The app first: while it ends, it may still want to save.
    await this.#app?.end(ending.by === "signal" ? ending.signal : "SIGTERM");
    await this.#sidecar?.close();
    return this.#exitCode(ending);
  }

  /** Starts the sidecar. Gives the settings with the ports that are bound. */
  async #startSidecar(): Promise<SidecarSettings> {
    const host: SidecarHost = {
      env: this.#host.env,
      writeLog: this.#log.line,
      onShutdown: (force) => (force ? this.#hurry() : this.#ending.resolve({ by: "shutdown" })),
    };
    // A block gives an app of unknown state time to end. This one's end is known: the sidecar serves until then anyway.
    const blockShutdownMs = this.#plan.command.length > 0 ? 0 : this.#plan.settings.blockShutdownMs;
    for (let tries = 1; ; tries++) {
      const settings = await withFreePorts(this.#plan);
      try {
        this.#sidecar = await this.#start({ ...settings, blockShutdownMs }, host);
        const { httpPort, grpcPort, metricsPort } = this.#sidecar;
        // The Configuration may have turned metrics off.
        const metricsEnabled = metricsPort !== null;
        return { ...settings, httpPort, grpcPort, metricsEnabled, metricsPort: metricsPort ?? settings.metricsPort };
      } catch (error) {
        // Chosen anew, an asked-for port that is taken now ends the loop with a message of its own.
        if (systemCode(error) !== "EADDRINUSE" || tries === START_TRIES) throw error;
      }
    }
  }

  #announce(settings: SidecarSettings): void {
    const { keptAppId, keptResources, command, withoutEffect } = this.#plan;
    const stores = [...(this.#sidecar?.stores.all() ?? [])];
    const { cwd, stdout } = this.#host;
    stdout.write(banner({ settings, stores, keptAppId, keptResources, command, cwd }));
    if (withoutEffect.length > 0) stdout.write(`Without effect here: ${withoutEffect.join(", ")}\n\n`);
    this.#log.started();
  }

  #startApp(settings: SidecarSettings): App | null {
    const { command } = this.#plan;
    if (command.length === 0) return null;
    const { env, cwd, stdout, stderr } = this.#host;
    const prefixes = [prefixFor("APP", stdout, env), prefixFor("APP", stderr, env)] as const;
    return new App({ command, env: { ...env, ...appEnvironment(settings) }, cwd, prefixes }, this.#host);
  }

  async #exitCode(ending: Ending): Promise<number> {
    if (ending.by === "app") return ending.code;
    // A sidecar that was told to shut down has done as asked, however the app took its SIGTERM.
    if (ending.by === "shutdown" || this.#app === null) return EXIT_OK;
    return this.#app.exited;
  }

  #hurry(): void {
    this.#app?.kill();
    this.#cut.resolve(EXIT_FAILURE);
  }

  /** With a terminal, SIGHUP says that it is gone; without one it is the wish to reload, as for a sidecar. */
  #hangUp(): void {
    if (this.#host.stdout.isTTY === true || this.#host.stderr.isTTY === true) {
      this.#ending.resolve({ by: "signal", signal: "SIGHUP" });
      return;
    }
    // What is asked for during the start is done after it: the manifests may have been read already.
    this.#reloadAsked = this.#sidecar === null;
    this.#sidecar?.reload().catch((error: unknown) => this.#host.stderr.write(`reload failed: ${reason(error)}\n`));
  }
}
