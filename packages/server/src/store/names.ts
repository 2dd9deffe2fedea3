// The names of the tables. They carry a prefix, so that a database can be shared with other programs.

export const PREFIX = 'backchannel_';

/** The name of a table in the database. */
export const nameOf = <Topic extends string>(topic: Topic): `backchannel_${Topic}` => `backchannel_${topic}`;

/** The name of a table as people know it, without the prefix. */
export const topicOf = (table: string): string => (table.startsWith(PREFIX) ? table.slice(PREFIX.length) : table);
