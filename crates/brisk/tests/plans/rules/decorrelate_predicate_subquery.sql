-- EXISTS and IN are semi joins, NOT EXISTS is an anti join
EXPLAIN CHANGELOG_MODE SELECT name FROM person
WHERE EXISTS (SELECT 1 FROM auction WHERE seller = person.id) AND NOT EXISTS (SELECT 1 FROM bid WHERE bidder = person.id) AND id IN (SELECT k FROM side);
