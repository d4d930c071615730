// Owns checking inputs of the plain shapes that the tasks here take. An SDK would leave it to a schema library.

interface Kinds {
  string: string;
  number: number;
  boolean: boolean;
}

/** Gives a check for objects that have at least these fields. */
export function shape<S extends Record<string, keyof Kinds>>(fields: S) {
  return (input: unknown): { [K in keyof S]: Kinds[S[K]] } => {
    const found = Object(input) as Record<string, unknown>;
    for (const [name, kind] of Object.entries(fields))
      if (typeof found[name] !== kind) throw new TypeError(`${name}: a ${kind} was expected`);
    return found as { [K in keyof S]: Kinds[S[K]] };
  };
}

/** Takes any JSON value. */
export const anything = (input: unknown) => input;
