// Logs with Dapr's field names (app_id, instance, level, msg, scope, time, type, ver), as text or JSON, one line each.
// No value and no secret ever comes here; a key only at level debug.

export const LOG_LEVELS = ["debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  fatal(message: string, fields?: LogFields): void;
  /** The same log under another `scope` field. */
  scoped(scope: string): Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly json: boolean;
  readonly appId: string;
  readonly instance: string;
  readonly version: string;
  /** Takes one finished line with its line end. */
  readonly write: (line: string) => void;
  readonly nowMs: () => number;
}

/** A log that writes lines of at least `options.level`. */
export function createLog(options: LogOptions, scope = "dapr.runtime"): Log {
  const lowest = LOG_LEVELS.indexOf(options.level);
  const at = (level: LogLevel) => {
    if (LOG_LEVELS.indexOf(level) < lowest) return () => undefined;
    return (message: string, fields: LogFields = {}): void => {
      options.write(format(options, scope, level, message, fields));
    };
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    fatal: at("fatal"),
    scoped: (other) => createLog(options, other),
  };
}

function format(options: LogOptions, scope: string, level: LogLevel, msg: string, fields: LogFields): string {
  const line: Record<string, string | number | boolean | null> = {
    time: new Date(options.nowMs()).toISOString(),
    level: level === "warn" ? "warning" : level,
    msg,
    ...fields,
    app_id: options.appId,
    instance: options.instance,
    scope,
    type: "log",
    ver: options.version,
  };
  if (options.json) return `${JSON.stringify(line)}\n`;
  const parts = Object.entries(line).map(([name, value]) => `${name}=${textOf(value)}`);
  return `${parts.join(" ")}\n`;
}

/** A field of a text line: quoted when it holds anything but the characters that logrus leaves bare. */
function textOf(value: string | number | boolean | null): string {
  const text = String(value);
  return /^[A-Za-z0-9._/@^+-]+$/.test(text) ? text : JSON.stringify(text);
}
