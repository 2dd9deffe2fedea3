// What the heads of all pages have in common. Everything in it is in the page: nothing more is loaded.

/** A keyhole in a tile, as a picture in the page. */
const icon = encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1b3a4b"/>' +
    '<circle cx="16" cy="13" r="5" fill="#fff"/><path d="M14 15h4l2 10h-8z" fill="#fff"/></svg>',
);
export const iconUrl = `data:image/svg+xml,${icon}`;

/** A server of one's own is nobody else's to find. */
export const headTags =
  '<meta charset="UTF-8">\n' +
  '  <meta name="viewport" content="width=device-width, initial-scale=1">\n' +
  '  <meta name="robots" content="noindex">';
