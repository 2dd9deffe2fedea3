// What a person sees instead of the application when a proxy can't lead the browser to sign in by itself: a form was sent, or
// a frame was loaded. It has no script and no style, and the values in it are addresses that were parsed before.

/** A link to `signIn`, which is an address without quotes and angle brackets, as URL makes it. */
export function refusedPage({ signIn, host }: { signIn: string; host: string | null }): string {
  const where = host === null ? 'the application' : host;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in first</title>
<h1>Sign in first</h1>
<p>You are not signed in, or your browser did not say so because another site sent this request. It has not reached ${where}.</p>
<p><a href="${signIn.replaceAll('&', '&amp;')}" target="_top">Sign in</a>. If you sent a form, go back to it afterwards and send it again.</p>
</html>
`;
}
