// The log: one line an event, secrets redacted, control characters escaped.
import { type Logger, pino } from 'pino';
import type { Config } from './config.ts';
import { escapeControlCharacters } from './services/client.ts';

export type Log = Logger;

/** Writes to stderr, as JSON lines or as lines for people: stdout belongs to the start block. */
export function createLog(config: Pick<Config, 'logLevel' | 'logFormat'>): Log {
  const options = {
    level: config.logLevel,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: ['*.authorization', '*.cookie', '*.password', 'authorization', 'cookie', 'password'],
  };
  const write = (line: string) => process.stderr.write(line);
  return pino(options, config.logFormat === 'json' ? { write } : { write: (line: string) => write(prettyLine(line)) });
}

/** `12:00:00 info  message key=value`, from a line of JSON. */
function prettyLine(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const head = [String(time).slice(11, 19), String(level).padEnd(5), escapeControlCharacters(String(msg ?? ''))];
  const stack = err && typeof err === 'object' && 'stack' in err ? `\n${indent(String(err.stack))}` : '';
  return `${[...head, ...details.map(escapeControlCharacters)].join(' ')}${stack}\n`;
}

const indent = (stack: string) =>
  stack
    .split('\n')
    .map((row) => `    ${escapeControlCharacters(row)}`)
    .join('\n');
