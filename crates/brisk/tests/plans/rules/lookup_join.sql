-- FOR SYSTEM_TIME AS OF a processing time looks rows up
CREATE VIEW timed AS SELECT *, PROCTIME() AS pt FROM bid;
EXPLAIN CHANGELOG_MODE SELECT b.price, s.v FROM timed b JOIN side FOR SYSTEM_TIME AS OF b.pt AS s ON b.bidder = s.k AND s.v <> 'x';
