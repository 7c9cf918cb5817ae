-- q13: bids with a value looked up in a bounded side table
SELECT b.auction, b.bidder, b.price, b.ts, s.v
FROM (SELECT *, PROCTIME() AS pt FROM bid) b JOIN side FOR SYSTEM_TIME AS OF b.pt AS s ON MOD(b.auction, 10000) = s.k;
