// HTML templates that escape their values, so that request data cannot become markup. Attribute values need quotes.

export interface Html {
  readonly markup: string;
}

type Part = Html | string | number | null | readonly Html[];

/** Tags an HTML template. Escapes strings, inserts results of `html` and lists of them as they are, and leaves out null. */
export function html(texts: TemplateStringsArray, ...parts: Part[]): Html {
  return { markup: texts.reduce((markup, text, index) => `${markup}${render(parts[index - 1] ?? null)}${text}`) };
}

function render(part: Part): string {
  if (part === null) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part));
  return 'markup' in part ? part.markup : part.map(({ markup }) => markup).join('');
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
