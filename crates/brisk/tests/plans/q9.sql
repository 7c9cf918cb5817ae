-- q9: the winning bid of each auction
SELECT id, item, description, initial_bid, reserve, ts, expires, seller, category, extra, auction, bidder, price, bid_ts, bid_extra
FROM (
  SELECT a.id, a.item, a.description, a.initial_bid, a.reserve, a.ts, a.expires, a.seller, a.category, a.extra,
    b.auction, b.bidder, b.price, b.ts AS bid_ts, b.extra AS bid_extra,
    ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.ts ASC) AS place
  FROM auction a JOIN bid b ON b.auction = a.id
  WHERE b.ts BETWEEN a.ts AND a.expires)
WHERE place <= 1;
