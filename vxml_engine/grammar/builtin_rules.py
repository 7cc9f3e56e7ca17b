"""The rules of the builtin types, in ABNF: what may be pressed or said, and what it means.

The values are those of VoiceXML 2.0 appendix P: ``boolean`` true or false, all others texts.
"""

from typing import Final

DTMF_RULES: Final = {
    "boolean": "$boolean = YES {out = true} | NO {out = false};",
    "digits": "$digits = (0|1|2|3|4|5|6|7|8|9)TIMES {out = meta.current().text};",
    "number": """
        $d = 0|1|2|3|4|5|6|7|8|9;
        $number = ($d<1-> [* $d<0->] | * $d<1->)
            {out = meta.current().text.replace('*', '.').replace(/\\.$/, '')};
    """,
    "currency": """
        $d = 0|1|2|3|4|5|6|7|8|9;
        $currency = ($d<1-> [* [$d<1-2>]] | * $d<1-2>) {
            var parts = (meta.current().text + '*').split('*');
            out = (parts[0] || '0') + '.' + (parts[1] + '00').slice(0, 2)
        };
    """,
    "phone": """
        $d = 0|1|2|3|4|5|6|7|8|9;
        $phone = $d<1-> [* $d<1->] {out = meta.current().text.replace('*', 'x')};
    """,
    "date": """
        $d = 0|1|2|3|4|5|6|7|8|9;
        $month = 0 (1|2|3|4|5|6|7|8|9) | 1 (0|1|2);
        $day = 0 (1|2|3|4|5|6|7|8|9) | (1|2) $d | 3 (0|1);
        $date = $d<4> $month $day {out = meta.current().text};
    """,
    "time": """
        $d = 0|1|2|3|4|5|6|7|8|9;
        $time = ((0|1) $d | 2 (0|1|2|3)) (0|1|2|3|4|5) $d {
            var hour = Number(meta.current().text.slice(0, 2));
            out = meta.current().text + (hour >= 1 && hour <= 12 ? '?' : 'h')
        };
    """,
}

_DIGIT: Final = """
    $digit = (zero|oh|0) {out = "0"} | (one|1) {out = "1"} | (two|2) {out = "2"}
        | (three|3) {out = "3"} | (four|4) {out = "4"} | (five|5) {out = "5"}
        | (six|6) {out = "6"} | (seven|7) {out = "7"} | (eight|8) {out = "8"}
        | (nine|9) {out = "9"};
"""

_NUMBERS: Final = """
    $ones = one {out = 1} | two {out = 2} | three {out = 3} | four {out = 4} | five {out = 5}
        | six {out = 6} | seven {out = 7} | eight {out = 8} | nine {out = 9};
    $teens = ten {out = 10} | eleven {out = 11} | twelve {out = 12} | thirteen {out = 13}
        | fourteen {out = 14} | fifteen {out = 15} | sixteen {out = 16}
        | seventeen {out = 17} | eighteen {out = 18} | nineteen {out = 19};
    $tens = twenty {out = 20} | thirty {out = 30} | forty {out = 40} | fifty {out = 50}
        | sixty {out = 60} | seventy {out = 70} | eighty {out = 80} | ninety {out = 90};
    $below100 = $ones {out = rules.ones} | $teens {out = rules.teens}
        | $tens {out = rules.tens} [$ones {out += rules.ones}];
    $below1000 = $below100 {out = rules.below100}
        | (a {out = 100} | $ones {out = rules.ones * 100}) hundred
          [[and] $below100 {out += rules.below100}];
    $below1000000 = $below1000 {out = rules.below1000}
        [thousand {out *= 1000} [[and] $below1000 {out += rules.below1000}]];
    $whole = zero {out = 0} | $below1000000 {out = rules.below1000000}
        | $below1000 {out = rules.below1000 * 1000000} million
          [[and] $below1000000 {out += rules.below1000000}];
"""

VOICE_RULES: Final = {
    "boolean": """
        $boolean = (yes|yeah|yep|yes please|correct|true|right) {out = true}
            | (no|nope|no thanks|no thank you|wrong|false) {out = false};
    """,
    "digits": _DIGIT + "$digits = {out = ''} ($digit {out += rules.digit})TIMES;",
    "number": _DIGIT
    + _NUMBERS
    + """
        $number = {out = ''} [plus {out = '+'} | (minus|negative) {out = '-'}]
            $whole {out += rules.whole} [point {out += '.'} ($digit {out += rules.digit})<1->];
    """,
    "phone": _DIGIT
    + """
        $phone = {out = ''} ($digit {out += rules.digit})<1->
            [extension {out += 'x'} ($digit {out += rules.digit})<1->];
    """,
    "currency": _NUMBERS
    + """
        $code = ((u s|us|american) (dollar|dollars)) {out = 'USD'} | (euro|euros) {out = 'EUR'}
            | (dollar|dollars) {out = ''} | (british (pound|pounds)) {out = 'GBP'}
            | (pound|pounds) {out = ''} | (swiss (franc|francs)) {out = 'CHF'} | yen {out = 'JPY'};
        $cents = cent | cents | pence | penny;
        $currency = {var code = '', units = 0, cents = 0}
            ( $whole {units = rules.whole} $code {code = rules.code}
              [[and] $below100 {cents = rules.below100} [$cents]]
            | $below100 {cents = rules.below100} $cents )
            {out = code + units + '.' + (cents < 10 ? '0' : '') + cents};
    """,
    "time": _NUMBERS
    + """
        $hour = zero {out = 0} | $ones {out = rules.ones} | $teens {out = rules.teens}
            | twenty {out = 20} [one {out = 21} | two {out = 22} | three {out = 23}];
        $fifty = twenty {out = 20} | thirty {out = 30} | forty {out = 40} | fifty {out = 50};
        $minute = oh $ones {out = rules.ones} | $teens {out = rules.teens}
            | $fifty {out = rules.fifty} [$ones {out += rules.ones}];
        $half = (a m | am | a.m | in the morning) {out = 'a'}
            | (p m | pm | p.m | in the afternoon | in the evening | at night) {out = 'p'};
        $clock = $hour {out.h = rules.hour; out.m = 0}
              [o'clock | hundred hours {out.x = 'h'} | $minute {out.m = rules.minute}]
            | half past $hour {out.h = rules.hour; out.m = 30}
            | [a] quarter past $hour {out.h = rules.hour; out.m = 15}
            | [a] quarter to $hour {out.h = (rules.hour + 23) % 24 || 12; out.m = 45};
        $time = noon {out = '1200p'} | midnight {out = '1200a'}
            | {var x = ''} $clock {var c = rules.clock} [$half {x = rules.half}] {
                x = c.h === 0 || c.h > 12 ? 'h' : x || c.x || '?';
                out = (c.h < 10 ? '0' : '') + c.h + (c.m < 10 ? '0' : '') + c.m + x
            };
    """,
    "date": _NUMBERS
    + """
        $month = january {out = '01'} | february {out = '02'} | march {out = '03'}
            | april {out = '04'} | may {out = '05'} | june {out = '06'} | july {out = '07'}
            | august {out = '08'} | september {out = '09'} | october {out = '10'}
            | november {out = '11'} | december {out = '12'};
        $nth = first {out = 1} | second {out = 2} | third {out = 3} | fourth {out = 4}
            | fifth {out = 5} | sixth {out = 6} | seventh {out = 7} | eighth {out = 8}
            | ninth {out = 9};
        $ordinal = $nth {out = rules.nth} | tenth {out = 10} | eleventh {out = 11}
            | twelfth {out = 12} | thirteenth {out = 13} | fourteenth {out = 14}
            | fifteenth {out = 15} | sixteenth {out = 16} | seventeenth {out = 17}
            | eighteenth {out = 18} | nineteenth {out = 19} | twentieth {out = 20}
            | thirtieth {out = 30};
        $day = $ordinal {out = rules.ordinal} | $ones {out = rules.ones}
            | $teens {out = rules.teens} | twenty {out = 20} | thirty {out = 30} [one {out = 31}]
            | twenty $ones {out = 20 + rules.ones} | twenty $nth {out = 20 + rules.nth}
            | thirty first {out = 31};
        $century = $teens {out = rules.teens} | twenty {out = 20};
        $year = $century {out = rules.century * 100}
              (hundred | oh $ones {out += rules.ones} | $teens {out += rules.teens}
                | $tens {out += rules.tens} [$ones {out += rules.ones}])
            | $ones {out = rules.ones * 1000} thousand [[and] $below100 {out += rules.below100}];
        $date = {var y = '????', m = '??', d = '??'}
            ( $month {m = rules.month} [[the] $day {d = rules.day}]
            | [the] $day {d = rules.day} of $month {m = rules.month} )
            [$year {y = String(rules.year)}]
            {out = y + m + (typeof d === 'number' && d < 10 ? '0' : '') + d};
    """,
}
