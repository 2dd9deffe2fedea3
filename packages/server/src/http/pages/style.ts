// The style of the pages. It is inline, so that a page is a single request. The Content-Security-Policy allows it by its hash.
import { createHash } from 'node:crypto';

/** Text has a contrast of at least 7 to 1, edges and focus indicators 3 to 1 (WCAG 2.2, 1.4.6, 1.4.11). */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #f4f3ef; --sheet: #fff; --line: #dcdad2; --edge: #7b868c;
  --text: #16242b; --soft: #3c4a52; --accent: #1b3a4b; --accent-hover: #2a5268; --on-accent: #fff;
  --link: #15506e; --focus: #1d7fb8;
  --bad: #8c1d18; --bad-ground: #fdf0ee; --bad-line: #e4b6b1;
  --note: #574000; --note-ground: #fbf4df; --note-line: #dcc88c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1518; --sheet: #171f24; --line: #2b363c; --edge: #76858d;
    --text: #e8edef; --soft: #b3bfc5; --accent: #b4dcf0; --accent-hover: #d3ebf7; --on-accent: #0c2431;
    --link: #9bd0ea; --focus: #5fb4e2;
    --bad: #ffc9c2; --bad-ground: #35191a; --bad-line: #6b3532;
    --note: #f1dd9d; --note-ground: #2d2610; --note-line: #5e4f1d;
  }
}
*, ::before, ::after { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body {
  margin: 0; min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column;
  padding: clamp(1.25rem, 4vw, 2.5rem) 1rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: break-word;
}
main { width: 100%; max-width: 24rem; margin: auto }
main.wide { max-width: 44rem; margin-top: 0 }
.brand { display: flex; align-items: center; gap: .6rem; margin: 0 0 1.25rem; color: var(--soft); font-weight: 600; letter-spacing: .01em }
.brand svg { width: 2rem; height: 2rem; flex: none }
.brand .tile { fill: var(--accent) }
.brand .hole { fill: var(--ground) }
.sheet { background: var(--sheet); border: 1px solid var(--line); border-radius: 14px; padding: clamp(1.25rem, 5vw, 2rem) }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em; text-wrap: balance }
h2 { margin: 0 0 .5rem; font-size: 1rem }
p { margin: .5rem 0 0 }
.lead { color: var(--soft) }
strong { font-weight: 600 }
code { font: .92em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
a { color: var(--link); text-underline-offset: .18em }
a:hover { text-decoration-thickness: 2px }
form { margin: 0 }
.form { margin-top: 1.5rem; display: grid; gap: 1.1rem }
label { font-weight: 600 }
.field { display: grid; gap: .4rem }
input[type=password] {
  width: 100%; min-height: 3rem; padding: .6rem .85rem; font: inherit; color: inherit;
  background: var(--ground); border: 1px solid var(--edge); border-radius: 9px;
}
input[aria-invalid=true] { border-color: var(--bad); border-width: 2px }
.check { display: flex; align-items: center; gap: .65rem; min-height: 1.75rem; font-weight: 400 }
.check input { width: 1.2rem; height: 1.2rem; margin: 0; flex: none; accent-color: var(--accent) }
button, .button {
  display: inline-block; min-height: 2.5rem; padding: .45rem 1rem; font: inherit; font-weight: 600; text-align: center;
  text-decoration: none; border-radius: 9px; border: 1px solid var(--edge); background: transparent; color: var(--text); cursor: pointer;
}
button:hover, .button:hover { background: var(--ground) }
.main { width: 100%; min-height: 3rem; padding: .65rem 1rem; border-color: transparent; background: var(--accent); color: var(--on-accent) }
.main:hover { background: var(--accent-hover) }
.full { width: 100% }
.stack { margin-top: 1.5rem; display: grid; gap: .75rem }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px }
input[type=password]:focus-visible { outline-offset: 0; border-color: var(--focus) }
.note { margin: 1.25rem 0 0; padding: .85rem 1rem; border: 1px solid var(--note-line); border-radius: 9px; background: var(--note-ground); color: var(--note) }
.note.bad { border-color: var(--bad-line); background: var(--bad-ground); color: var(--bad) }
.note > :first-child { margin-top: 0 }
.note a { color: inherit }
.above { margin: 0 0 1rem }
ul { margin: .5rem 0 0; padding-left: 1.2rem }
li + li { margin-top: .4rem }
.head { display: flex; align-items: center; justify-content: space-between; gap: 1rem }
.head form { flex: none }
.list { list-style: none; margin: 1.5rem 0 0; padding: 0; border-top: 1px solid var(--line) }
.list li { display: flex; align-items: center; justify-content: space-between; gap: 1rem; margin: 0; padding: 1rem 0; border-bottom: 1px solid var(--line) }
.list div { min-width: 0 }
.list p { margin: .15rem 0 0; color: var(--soft); font-size: .925rem }
.mark { display: inline-block; margin-left: .35rem; padding: 0 .5rem; border: 1px solid var(--edge); border-radius: 99px; font-size: .8rem; color: var(--soft); white-space: nowrap }
.after { margin-top: 1.25rem; display: flex; flex-wrap: wrap; gap: .75rem }
.links { margin-top: 1.5rem; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; font-size: .95rem }
.links li { margin: 0 }
@media (forced-colors: active) { .main, .mark, .note { border-color: currentColor } }
`;

/** The hash for the Content-Security-Policy (CSP 3, 8.4). */
export const styleHash = `'sha256-${createHash('sha256').update(style).digest('base64')}'`;
