// Writes what is generated from the table of settings: `.env.example` and the README's table. `pnpm --filter server reference`
import { readFileSync, writeFileSync } from 'node:fs';
import { sections } from './src/config/setting.ts';
import { settings } from './src/config/settings.ts';

const WIDTH = 120;

/** The text of `.env.example`. */
export function envExample(): string {
  const secrets = settings.filter(({ secret }) => secret).map(({ name }) => name);
  const intro = [
    "BackChannel's settings. Copy this file to .env and remove the # from the lines that you change. The value after each " +
      '= is the default. An empty value counts as not set. An environment variable wins over this file.',
    `Each line is NAME=value. Put a value with spaces, # or quotes between quotes that it does not contain: ' or ". ` +
      'Relative paths start from this folder. ' +
      `${secrets.slice(0, -1).join(', ')} and ${secrets.at(-1)} can also be read from a file: NAME_FILE=/path/of/the/file.`,
  ];
  const parts = sections.flatMap((section) => [
    `# --- ${section} `.padEnd(WIDTH, '-'),
    ...settings
      .filter((setting) => setting.section === section)
      .map(({ name, description, details = '', default: fallback }) =>
        [...comment(`${plain(description)} ${details}`.trim()), `#${name}=${fallback}`].join('\n'),
      ),
  ]);
  return `${intro.map((text) => comment(text).join('\n')).join('\n#\n')}\n\n${parts.join('\n\n')}\n`;
}

/** The README's table of settings. */
export function settingsTable(): string {
  const rows = settings.map(
    ({ name, default: fallback, description }) =>
      `| \`${name}\` | ${fallback ? `\`${fallback}\`` : '–'} | ${description} |`,
  );
  return [tableHead, ...rows, ''].join('\n');
}

/** A README with its table of settings replaced by the current one. */
export const withTable = (readme: string): string =>
  readme.replace(/^\| variable \| default \| meaning \|\n(?:\|.*\n)+/m, () => settingsTable());

const tableHead = '| variable | default | meaning |\n| --- | --- | --- |';

/** Markdown as plain text. */
const plain = (markdown: string): string =>
  markdown.replaceAll('`', '').replace(/\[([^\]]+)\]\(([^)#]+)[^)]*\)/g, '$1 ($2)');

/** Lines of a comment. */
function comment(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1) ?? '#'} ${word}`;
    if (lines.length > 0 && line.length <= WIDTH) lines[lines.length - 1] = line;
    else lines.push(`# ${word}`);
  }
  return lines;
}

if (import.meta.main) {
  const root = new URL('../../', import.meta.url);
  writeFileSync(new URL('.env.example', root), envExample());
  const readme = new URL('README.md', root);
  writeFileSync(readme, withTable(readFileSync(readme, 'utf8')));
}
