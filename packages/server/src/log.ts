// The log: one line an event, secrets redacted, control characters escaped.
import { type Logger, pino } from 'pino';
import type { Config } from './config/config.ts';
import { errorCode } from './error-code.ts';
import { StoreUnavailableError } from './store/unavailable.ts';
import { escapeControlCharacters } from './text.ts';

export type Log = Logger;

/** Writes to stderr, as JSON lines or as lines for people: stdout belongs to the start block. */
export function createLog(config: Pick<Config, 'logLevel' | 'logFormat'>): Log {
  const options = {
    level: config.logLevel,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serializeError },
    redact: ['*.authorization', '*.cookie', '*.password', 'authorization', 'cookie', 'password'],
  };
  const write = (line: string) => process.stderr.write(line);
  return pino(options, config.logFormat === 'json' ? { write } : { write: (line: string) => write(prettyLine(line)) });
}

/** As pino has it; but a database that is away says why and no more: each request tells it, and a stack tells nothing. */
function serializeError(error: Error) {
  const away = [error, error.cause].find((each) => each instanceof StoreUnavailableError);
  if (!away) return pino.stdSerializers.err(error);
  const reason = away.cause instanceof Error ? ` (${away.cause.message || errorCode(away.cause)})` : '';
  return { type: away.name, message: `${away.message}${reason}` };
}

/** `12:00:00 info  message key=value`, from a line of JSON. */
function prettyLine(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const head = [String(time).slice(11, 19), String(level).padEnd(5), escapeControlCharacters(String(msg ?? ''))];
  const { stack, message } = { ...(err as { stack?: string; message?: string } | undefined) };
  const why = stack ?? message;
  return `${[...head, ...details.map(escapeControlCharacters)].join(' ')}${why === undefined ? '' : `\n${indent(why)}`}\n`;
}

const indent = (stack: string) =>
  stack
    .split('\n')
    .map((row) => `    ${escapeControlCharacters(row)}`)
    .join('\n');
