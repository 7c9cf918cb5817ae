-- q20: bids with their auction, category 10 only
SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.ts, b.extra,
  a.item, a.description, a.initial_bid, a.reserve, a.ts, a.expires, a.seller, a.category, a.extra
FROM bid b JOIN auction a ON a.id = b.auction WHERE a.category = 10;
