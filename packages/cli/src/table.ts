// Formats rows in columns, for people. Control characters in a cell are escaped, so a cell can't drive the terminal.
import { escapeControlCharacters } from '@backchannel/server/text';

/** One line per row, two spaces between columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(escapeControlCharacters));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  const line = (row: string[]) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ');
  return cells.map((row) => line(row).trimEnd()).join('\n');
}

/** Formats records as a table with a heading. It is empty without records. Null appears as a dash. */
export function listing<T>(
  records: readonly T[],
  columns: Readonly<Record<string, (record: T) => string | null>>,
): string {
  if (records.length === 0) return '';
  const rows = records.map((record) => Object.values(columns).map((show) => show(record) ?? '-'));
  return table([Object.keys(columns), ...rows]);
}
