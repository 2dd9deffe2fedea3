// The sign-in page: a form, or links if you are already signed in. The API checks the password.
import type { ErrorDescription } from '../../errors.ts';
import type { SessionEnd } from '../../services/sessions/sessions.ts';
import { LOGIN_PATH } from '../paths.ts';
import type { NoReturn } from '../return-address.ts';
import { type Html, html } from './html.ts';
import type { Page } from './layout.ts';
import { FRAGMENT_FIELD, keepsFragment } from './script.ts';
import type { Sender } from './sent-back.ts';
import { waitFor } from './time.ts';

export interface LoginForm {
  /** The return address, already checked. */
  next: URL | null;
  /** The fragment of the address, as an earlier form carried it. */
  fragment?: string;
  /** Why forward-auth gave no return address. It is explained after the sign-in. */
  reason: NoReturn | null;
  banner: Html | null;
  /** The user name for password managers. */
  username: string;
  remember?: boolean;
  /** What became of the session that the browser had. */
  ended?: SessionEnd | null;
  /** Why the last attempt failed. */
  error?: ErrorDescription | null;
}

export function loginPage(options: LoginForm): Page {
  const { next, fragment = '', reason, banner, username, remember = false, ended = null, error = null } = options;
  const query = new URLSearchParams({ ...(next && { next: next.href }), ...(reason && { reason }) }).toString();
  const problem = error ? describeProblem(error) : null;
  return {
    title: problem ? `${problem.title} – Sign in` : 'Sign in',
    banner,
    hasScript: true,
    // Back to the form when the wait is over; with script, the page counts down instead.
    refreshWithoutScript: problem?.waitSeconds
      ? `${problem.waitSeconds};url=${LOGIN_PATH}${query && `?${query}`}`
      : null,
    main: html`<h1>Sign in</h1>
${next ? html`<p class="lead">to continue to <strong>${next.host}</strong></p>` : null}
${
  reason === 'address-too-long'
    ? html`<p class="lead">The address you came from is too long to return to. Open it again after signing in.</p>`
    : null
}
${ended ? html`<div class="note"><p>${endings[ended]} Sign in again.</p></div>` : null}
${
  problem
    ? html`<div class="note bad" id="problem"><p role="alert"><strong>${problem.title}.</strong> ${problem.advice}</p>
${problem.waitSeconds === null ? null : waitFor(problem.waitSeconds)}</div>`
    : null
}
<form class="form" method="post" action="/login">
${next ? html`<input type="hidden" name="next" value="${next.href}">` : null}
${next ? html`<input type="hidden" id="${FRAGMENT_FIELD}" name="${FRAGMENT_FIELD}" value="${fragment}">` : null}
${reason ? html`<input type="hidden" name="reason" value="${reason}">` : null}
<input type="text" id="username" autocomplete="username" value="${username}" readonly hidden>
<div class="field">
<label for="password">Password</label>
<input type="password" id="password" name="password" autocomplete="current-password" required autofocus
 autocapitalize="none" spellcheck="false"${problem ? html` aria-describedby="problem"` : null}${
   problem?.isWrong ? html` aria-invalid="true"` : null
 }>
</div>
<label class="check"><input type="checkbox" name="remember" value="yes"${remember ? html` checked` : null}>
Keep me signed in on this device</label>
<button class="main">Sign in</button>
</form>`,
  };
}

const endings: Record<SessionEnd, string> = {
  expired: 'Your session has expired.',
  ended: 'Your session was ended.',
  unknown: 'Your session is no longer valid.',
};

interface Problem {
  title: string;
  advice: string;
  /** Null if the person can try again at once. */
  waitSeconds: number | null;
  /** Whether the person must correct the field. If not, they must wait. */
  isWrong: boolean;
}

function describeProblem({ code, message, issues, retryAfterSeconds = 0 }: ErrorDescription): Problem {
  switch (code) {
    case 'UNAUTHORIZED':
      return {
        title: 'Wrong password',
        advice: 'Check Caps Lock and the keyboard layout.',
        waitSeconds: null,
        isWrong: true,
      };
    case 'TOO_MANY_REQUESTS':
      return {
        title: 'Too many wrong passwords',
        advice: 'Passwords are not checked until the wait is over.',
        waitSeconds: retryAfterSeconds,
        isWrong: false,
      };
    case 'SERVICE_UNAVAILABLE':
      return { title: 'Temporarily unavailable', advice: message, waitSeconds: retryAfterSeconds, isWrong: false };
    default:
      return {
        title: 'This password is not valid',
        advice: issues?.[0]?.message ?? message,
        waitSeconds: null,
        isWrong: true,
      };
  }
}

/** For people who are already signed in and have nowhere to go on to, or whom an application keeps sending back. */
export function signedInPage(options: { next: URL | null; banner: Html | null; from: Sender | null }): Page {
  const { next, banner, from } = options;
  return {
    title: 'You are signed in',
    banner,
    hasScript: true,
    main: html`<h1>You are signed in</h1>
${
  from
    ? html`<div class="note"><p><strong>${from.host ? `Does ${from.host} keep sending you back here?` : 'Did an application send you here?'}</strong></p>
<ul>${from.reasons.map((reason) => html`<li>${reason}</li>`)}</ul></div>`
    : null
}
<div class="stack">
${next ? html`<a ${keepsFragment} class="button main" href="${next.href}">Continue to ${next.host}</a>` : null}
<a class="button ${next ? 'full' : 'main'}" href="/">See your sessions</a>
<form method="post" action="/logout"><button class="full">Sign out</button></form>
</div>`,
  };
}
