-- where the missing side could not meet the condition, an outer join is an inner one
EXPLAIN CHANGELOG_MODE SELECT a.id, p.name FROM auction a LEFT JOIN person p ON p.id = a.seller WHERE p.state = 'OR';
