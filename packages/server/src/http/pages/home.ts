// The home page when you are signed in: your sessions, buttons to end them, and links to the API reference.
import type { Session } from '../../procedures/auth/sessions.ts';
import { type Html, html } from './html.ts';
import type { Page } from './layout.ts';
import { timeAgo, timeUntil } from './time.ts';

/** The value of the field `end` for all sessions except this one. */
export const OTHERS = 'others';

export function homePage(options: {
  sessions: readonly Session[];
  now: number;
  hasDocs: boolean;
  /** How many sessions the last form has ended; null if it was none of these forms. */
  ended: number | null;
}): Page {
  const { sessions, now, hasDocs, ended } = options;
  const [own, others] = [sessions.filter(({ current }) => current), sessions.filter(({ current }) => !current)];
  return {
    title: 'Your sessions',
    isWide: true,
    main: html`<div class="head">
<h1>Where you are signed in</h1>
<form method="post" action="/logout"><button>Sign out</button></form>
</div>
${ended === null ? null : html`<div class="note" role="status"><p>${endedWords(ended)}</p></div>`}
<form method="post" action="/sessions">
<ul class="list">
${[...own, ...others].map((session) => item(session, now))}
</ul>
${others.length > 0 ? html`<p class="after"><button name="end" value="${OTHERS}">End all other sessions</button></p>` : null}
</form>
${
  hasDocs
    ? html`<nav aria-label="Documentation"><ul class="links">
<li><a href="/docs">Try the API</a></li>
<li><a href="/redoc">Read about the API</a></li>
<li><a href="/openapi.json">OpenAPI document</a></li>
</ul></nav>`
    : null
}`,
  };
}

const endedWords = (count: number): string =>
  count === 1 ? 'Session ended.' : count === 0 ? 'There was no other session.' : `${count} sessions ended.`;

function item({ id, current, remembered, device, ip, createdAt, lastSeenAt, expiresAt }: Session, now: number): Html {
  const name = device ?? 'Unknown device';
  const where = ip ?? 'unknown address';
  return html`<li><div>
<strong>${name}</strong>${current ? html` <span class="mark">this browser</span>` : null}
<p>${where}</p>
<p>Signed in ${timeAgo(createdAt, now)}${remembered ? ' and kept signed in' : ''}; last used ${timeAgo(lastSeenAt, now)};
expires ${timeUntil(expiresAt, now)}${current ? null : ' unless it is used'}</p>
</div>
${
  current
    ? null
    : html`<button name="end" value="${id}" aria-label="End the session of ${name} at ${where}">End</button>`
}
</li>
`;
}
