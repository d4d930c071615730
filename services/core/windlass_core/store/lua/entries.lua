-- Lists that attempts add to, the last entries of each run: by their kind, the list's key, the run's fields
-- with how many entries there ever were and how many bytes the kept ones have, and the limits of both.
local ENTRIES = {
  log = {
    key = function(run) return K.log(run) end, written = 'll', bytes = 'lb',
    most = LIMIT.LOG_LINES, most_bytes = LIMIT.LOG_BYTES,
  },
  stream = {
    key = function(run) return K.stream(run) end, written = 'sl', bytes = 'sb',
    most = LIMIT.CHUNKS, most_bytes = LIMIT.STREAM_BYTES,
  },
}
