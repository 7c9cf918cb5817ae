-- ORDER BY an event time sorts as the watermark advances
EXPLAIN CHANGELOG_MODE SELECT auction, price FROM bid ORDER BY ts, price DESC;
