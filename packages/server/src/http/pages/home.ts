// The home page when you are signed in: your sessions, buttons to end them, and links to the API reference.
import type { Session } from '../../procedures/auth/sessions.ts';
import { type Html, html } from './html.ts';
import type { Page } from './layout.ts';
import { timeAgo } from './time.ts';

/** The value of the field `end` for all sessions except this one. */
export const OTHERS = 'others';

export function homePage(options: { sessions: readonly Session[]; now: number; hasDocs: boolean }): Page {
  const { sessions, now, hasDocs } = options;
  const hasOthers = sessions.some(({ current }) => !current);
  return {
    title: 'Your sessions',
    isWide: true,
    main: html`<div class="head">
<h1>Where you are signed in</h1>
<form method="post" action="/logout"><button>Sign out</button></form>
</div>
<form method="post" action="/sessions">
<ul class="list">
${sessions.map((session) => item(session, now))}
</ul>
${hasOthers ? html`<p class="after"><button name="end" value="${OTHERS}">End all other sessions</button></p>` : null}
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

function item({ id, current, remembered, device, ip, createdAt, lastSeenAt }: Session, now: number): Html {
  const name = device ?? 'Unknown device';
  const where = ip ?? 'unknown address';
  return html`<li><div>
<strong>${name}</strong>${current ? html` <span class="mark">this browser</span>` : null}
<p>${where}</p>
<p>Signed in ${timeAgo(createdAt, now)}${remembered ? ' and kept signed in' : ''}; last used ${timeAgo(lastSeenAt, now)}</p>
</div>
${
  current
    ? null
    : html`<button name="end" value="${id}" aria-label="End the session of ${name} at ${where}">End</button>`
}
</li>
`;
}
