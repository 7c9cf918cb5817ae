-- q7: the highest bids of each 10 s window
WITH tops AS (
  SELECT MAX(price) AS top, window_end AS we
  FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end)
SELECT b.auction, b.price, b.bidder, b.ts, b.extra
FROM bid b JOIN tops t ON b.price = t.top
WHERE b.ts BETWEEN t.we - INTERVAL '10' SECOND AND t.we;
