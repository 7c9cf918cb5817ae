-- q8: people who came and opened an auction in the same 10 s window
WITH came AS (
  SELECT id, name, window_start AS ws, window_end AS we
  FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(ts), INTERVAL '10' SECOND))
  GROUP BY id, name, window_start, window_end),
sold AS (
  SELECT seller, window_start AS ws, window_end AS we
  FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(ts), INTERVAL '10' SECOND))
  GROUP BY seller, window_start, window_end)
SELECT c.id, c.name, c.ws FROM came c JOIN sold s ON c.id = s.seller AND c.ws = s.ws AND c.we = s.we;
