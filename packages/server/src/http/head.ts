// The HTML head that all pages share. Everything is inline, so a page loads no further files.

/** The icon, a keyhole in a tile, as SVG. */
const icon = encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1b3a4b"/>' +
    '<circle cx="16" cy="13" r="5" fill="#fff"/><path d="M14 15h4l2 10h-8z" fill="#fff"/></svg>',
);
export const iconUrl = `data:image/svg+xml,${icon}`;

/** `noindex` because search engines have no use for a personal server. */
export const headTags =
  '<meta charset="UTF-8">\n' +
  '  <meta name="viewport" content="width=device-width, initial-scale=1">\n' +
  '  <meta name="robots" content="noindex">';
