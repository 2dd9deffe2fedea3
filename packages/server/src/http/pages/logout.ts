// The pages for signing out: a button, and the result.
import type { ErrorDescription } from '../../errors.ts';
import { html } from './html.ts';
import type { Page } from './layout.ts';

/** It needs no database, so that people can sign out when nothing else works. */
export const logoutPage: Page = {
  title: 'Sign out',
  main: html`<h1>Sign out?</h1>
<p class="lead">This ends your session in this browser.</p>
<div class="stack">
<form method="post" action="/logout"><button class="main">Sign out</button></form>
</div>`,
};

export const signedOutPage: Page = {
  title: 'Signed out',
  main: html`<h1>You are signed out</h1>
<div class="stack"><a class="button full" href="/login">Sign in again</a></div>`,
};

/** The browser's cookie is gone, but the session could not be ended in the database. */
export function halfSignedOutPage({ message }: ErrorDescription): Page {
  return {
    title: 'Signed out in this browser only',
    main: html`<h1>Signed out in this browser only</h1>
<p>This browser has forgotten its session, but the server could not end it. ${message}</p>
<p>When the server works again, sign in and end the session in the list. Until then, a copy of its cookie would still be
valid.</p>
<div class="stack"><a class="button full" href="/login">Sign in</a></div>`,
  };
}
