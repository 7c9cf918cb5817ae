-- q18: the last bid of each bidder on each auction
SELECT auction, bidder, price, channel, url, ts, extra
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY ts DESC) AS place FROM bid) WHERE place <= 1;
