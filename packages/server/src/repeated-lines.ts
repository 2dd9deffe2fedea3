/**
 * Log lines that a stranger can cause with every request. The first of a kind in a minute is logged, the others are counted,
 * and the minute ends with one line for the count. Memory and lines are bounded, whatever strangers send.
 */
import type { Log } from './log.ts';

const WINDOW_MS = 60_000;

/** How many kinds a minute tells apart. The others share one count for each message. */
const MAX_KINDS = 100;

type Level = 'info' | 'warn' | 'error';

export interface RepeatedLine {
  level: Level;
  message: string;
  /** What makes two lines the same kind, besides the message. Each line and the count have these fields. */
  kind: Readonly<Record<string, unknown>>;
  /** Fields of a single line. */
  details?: Readonly<Record<string, unknown>>;
}

export type RequestLog = Log & {
  /** Logs a line, or counts it if its kind was logged in this minute. At `debug`, every line is logged. */
  repeated(line: RepeatedLine): void;
};

interface Counted {
  line: Omit<RepeatedLine, 'details'>;
  more: number;
}

/** Adds `repeated` to a log. Disposing it logs the counts that are left. */
export function openRequestLog(
  log: Log,
  { windowMs = WINDOW_MS }: { windowMs?: number } = {},
): RequestLog & Disposable {
  const kinds = new Map<string, Counted>();
  let timer: NodeJS.Timeout | undefined;

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    for (const { line, more } of kinds.values()) {
      if (more > 0) log[line.level]({ ...line.kind, more }, `${line.message}: and ${more} more within a minute`);
    }
    kinds.clear();
  };

  const repeated = ({ level, message, kind, details }: RepeatedLine) => {
    const isCounted = !log.isLevelEnabled('debug') && count({ level, message, kind });
    if (!isCounted) log[level]({ ...kind, ...details }, message);
  };

  /** Returns false for the first line of its kind. */
  const count = (line: Counted['line']): boolean => {
    timer ??= setTimeout(flush, windowMs).unref();
    const key = `${line.message}\n${JSON.stringify(line.kind)}`;
    const known = kinds.get(key) ?? (kinds.size < MAX_KINDS ? null : rest(line));
    if (known) known.more += 1;
    else kinds.set(key, { line, more: 0 });
    return known !== null;
  };

  /** What is counted without telling kinds apart. */
  const rest = ({ level, message }: Counted['line']): Counted => {
    const found = kinds.get(message) ?? { line: { level, message: `${message} (others)`, kind: {} }, more: 0 };
    kinds.set(message, found);
    return found;
  };

  // A prototype, as pino's own child loggers have it.
  return Object.assign(Object.create(log) as Log, { repeated, [Symbol.dispose]: flush });
}
