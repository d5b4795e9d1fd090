"""A hospital: people, visits, beds, drugs, tests, operations, bills and what it buys. 60 tables with English names and
Chinese comments, as hospitals in China have them; names of patients and departments are Chinese."""

import random
from datetime import date, datetime, timedelta

from schemas import Database

SURNAMES = "王李张刘陈杨赵黄周吴徐孙马朱胡郭何高林罗"
GIVEN = ["伟", "芳", "娜", "敏", "静", "强", "磊", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "秀英", "霞", "平", "刚", "桂英", "文博", "雨桐", "梓涵", "建国", "晓梅"]
DEPARTMENTS = [
    ("心内科", "Cardiology", "clinical", 1), ("骨科", "Orthopedics", "clinical", 1), ("儿科", "Pediatrics", "clinical", 1), ("神经内科", "Neurology", "clinical", 1),
    ("妇产科", "Obstetrics and Gynecology", "clinical", 2), ("普外科", "General Surgery", "clinical", 1), ("肿瘤科", "Oncology", "clinical", 2),
    ("急诊科", "Emergency", "clinical", 1), ("眼科", "Ophthalmology", "clinical", 2), ("皮肤科", "Dermatology", "clinical", 2), ("检验科", "Laboratory", "technical", 1),
    ("放射科", "Radiology", "technical", 1), ("药剂科", "Pharmacy", "technical", 1), ("麻醉科", "Anesthesiology", "technical", 1), ("财务科", "Finance", "administrative", 1),
    ("设备科", "Equipment Management", "administrative", 1), ("康复科", "Rehabilitation", "clinical", 3),
]
DRUGS = [
    ("阿莫西林胶囊", "Amoxicillin", "抗生素", 12.5, 1), ("头孢克肟片", "Cefixime", "抗生素", 28.0, 1), ("左氧氟沙星片", "Levofloxacin", "抗生素", 22.4, 1),
    ("阿司匹林肠溶片", "Aspirin", "心血管", 9.8, 0), ("氨氯地平片", "Amlodipine", "心血管", 18.6, 1), ("美托洛尔片", "Metoprolol", "心血管", 15.2, 1),
    ("阿托伐他汀片", "Atorvastatin", "心血管", 42.0, 1), ("二甲双胍片", "Metformin", "糖尿病", 11.3, 1), ("胰岛素注射液", "Insulin", "糖尿病", 65.0, 1),
    ("格列美脲片", "Glimepiride", "糖尿病", 24.9, 1), ("布洛芬缓释胶囊", "Ibuprofen", "解热镇痛", 16.8, 0), ("对乙酰氨基酚片", "Paracetamol", "解热镇痛", 6.5, 0),
    ("吗啡注射液", "Morphine", "解热镇痛", 8.9, 1), ("奥美拉唑胶囊", "Omeprazole", "消化系统", 19.9, 1), ("蒙脱石散", "Smectite", "消化系统", 21.0, 0),
    ("沙丁胺醇气雾剂", "Salbutamol", "呼吸系统", 23.5, 1), ("氨溴索口服液", "Ambroxol", "呼吸系统", 17.7, 0), ("地塞米松注射液", "Dexamethasone", "激素", 3.2, 1),
    ("氯雷他定片", "Loratadine", "抗过敏", 14.1, 0), ("维生素C片", "Vitamin C", "维生素", 4.0, 0), ("顺铂注射液", "Cisplatin", "抗肿瘤", 128.0, 1), ("紫杉醇注射液", "Paclitaxel", "抗肿瘤", 980.0, 1),
]
CODES = [
    ("I10", "原发性高血压", "Hypertension", "循环系统"), ("I25", "慢性缺血性心脏病", "Chronic ischemic heart disease", "循环系统"), ("I63", "脑梗死", "Cerebral infarction", "循环系统"),
    ("E11", "2型糖尿病", "Type 2 diabetes", "内分泌"), ("J06", "急性上呼吸道感染", "Acute upper respiratory infection", "呼吸系统"), ("J18", "肺炎", "Pneumonia", "呼吸系统"),
    ("J45", "哮喘", "Asthma", "呼吸系统"), ("K29", "胃炎", "Gastritis", "消化系统"), ("K35", "急性阑尾炎", "Acute appendicitis", "消化系统"), ("K80", "胆石症", "Cholelithiasis", "消化系统"),
    ("M17", "膝关节病", "Knee osteoarthritis", "肌肉骨骼"), ("M51", "椎间盘疾患", "Disc disorder", "肌肉骨骼"), ("S72", "股骨骨折", "Femur fracture", "损伤"), ("S52", "前臂骨折", "Forearm fracture", "损伤"),
    ("C34", "肺癌", "Lung cancer", "肿瘤"), ("C50", "乳腺癌", "Breast cancer", "肿瘤"), ("O80", "顺产", "Normal delivery", "妊娠分娩"), ("O82", "剖宫产", "Cesarean delivery", "妊娠分娩"),
    ("L20", "特应性皮炎", "Atopic dermatitis", "皮肤"), ("H25", "老年性白内障", "Senile cataract", "眼"), ("G43", "偏头痛", "Migraine", "神经系统"), ("Z00", "健康体检", "General examination", "其他"),
]
TESTS = [
    ("血常规", "Complete blood count", "血液", 25.0, "10^9/L", 4.0, 10.0), ("血糖", "Blood glucose", "生化", 8.0, "mmol/L", 3.9, 6.1), ("糖化血红蛋白", "HbA1c", "生化", 60.0, "%", 4.0, 6.0),
    ("总胆固醇", "Total cholesterol", "生化", 12.0, "mmol/L", 2.8, 5.2), ("肌酐", "Creatinine", "生化", 10.0, "umol/L", 44.0, 106.0), ("谷丙转氨酶", "ALT", "生化", 10.0, "U/L", 9.0, 50.0),
    ("C反应蛋白", "C-reactive protein", "免疫", 30.0, "mg/L", 0.0, 8.0), ("肌钙蛋白", "Troponin", "免疫", 120.0, "ng/mL", 0.0, 0.04), ("尿常规", "Urinalysis", "体液", 15.0, "-", 0.0, 1.0),
    ("甲胎蛋白", "AFP", "肿瘤标志物", 70.0, "ng/mL", 0.0, 7.0), ("癌胚抗原", "CEA", "肿瘤标志物", 70.0, "ng/mL", 0.0, 5.0), ("乙肝表面抗原", "HBsAg", "免疫", 20.0, "IU/mL", 0.0, 0.05),
]
ALLERGENS = ["青霉素", "头孢菌素", "花生", "海鲜", "尘螨", "花粉", "碘造影剂", "乳胶"]
CITIES = ["杭州", "宁波", "温州", "绍兴", "嘉兴", "湖州", "上海", "南京"]


def clinic():
    rnd = random.Random(60)
    db = Database("clinic")
    t = db.table
    t("campus", "院区", "campus_id:int!#院区编号", "campus_name:text#院区名称", "city:text#所在城市", "opened_on:date#启用日期", "bed_capacity:int#编制床位数")
    t("department", "科室", "department_id:int!#科室编号", "department_name:text#科室名称", "name_en:text#英文名", "kind:text#类别: clinical 临床, technical 医技, administrative 行政", "campus_id:int>campus#所属院区", "phone:text#电话")
    t("staff_role", "岗位", "role_id:int!", "role_name:text#岗位名称", "base_salary:num#基本工资")
    t("staff", "员工", "staff_id:int!#工号", "full_name:text#姓名", "gender:text#M 男, F 女", "birth_date:date#出生日期", "role_id:int>staff_role#岗位", "department_id:int>department#科室", "title:text?#职称", "hired_on:date#入职日期", "is_active:int#1 在职, 0 离职")
    t("staff_qualification", "员工资质", "qualification_id:int!", "staff_id:int>staff#员工", "certificate:text#证书名称", "issued_on:date#发证日期", "expires_on:date?#到期日期")
    t("ward", "病区", "ward_id:int!", "ward_name:text#病区名称", "department_id:int>department#科室", "floor_no:int#楼层")
    t("room", "病房", "room_id:int!", "ward_id:int>ward#病区", "room_no:text#房号", "room_type:text#single 单人间, double 双人间, general 普通间", "daily_rate:num#每日床位费")
    t("bed", "病床", "bed_id:int!", "room_id:int>room#病房", "bed_label:text#床号", "status:text#free 空闲, occupied 占用, cleaning 清洁中")
    t("shift_type", "班次", "shift_type_id:int!", "shift_name:text#班次名称", "starts_at:text#开始时间", "ends_at:text#结束时间")
    t("shift_assignment", "排班", "assignment_id:int!", "staff_id:int>staff#员工", "shift_type_id:int>shift_type#班次", "work_date:date#日期", "ward_id:int?>ward#病区")
    t("patient", "患者", "patient_id:int!#患者编号", "full_name:text#姓名", "gender:text#M 男, F 女", "birth_date:date#出生日期", "blood_type:text?#血型: A, B, AB, O", "registered_on:date#建档日期", "phone:text?#手机号")
    t("patient_address", "患者地址", "address_id:int!", "patient_id:int>patient#患者", "city:text#城市", "district:text#区县", "is_current:int#1 现住址")
    t("patient_contact", "紧急联系人", "contact_id:int!", "patient_id:int>patient#患者", "contact_name:text#联系人姓名", "relation:text#关系", "phone:text#电话")
    t("insurance_company", "保险公司", "company_id:int!", "company_name:text#公司名称", "kind:text#public 医保, commercial 商业保险")
    t("insurance_policy", "保险单", "policy_id:int!", "patient_id:int>patient#患者", "company_id:int>insurance_company#保险公司", "coverage_rate:real#报销比例, 0.8 表示 80%", "valid_from:date#生效日期", "valid_to:date#失效日期")
    t("allergen", "过敏原", "allergen_id:int!", "allergen_name:text#过敏原名称")
    t("patient_allergy", "患者过敏史", "patient_id:int!>patient#患者", "allergen_id:int!>allergen#过敏原", "severity:text#mild 轻, moderate 中, severe 重")
    t("diagnosis_code", "诊断编码 (ICD-10)", "code:text!#编码", "name_zh:text#中文名", "name_en:text#英文名", "chapter:text#章节")
    t("patient_condition", "慢性病史", "condition_id:int!", "patient_id:int>patient#患者", "diagnosis_code:text>diagnosis_code#诊断", "since:date#确诊日期")
    t("clinic_schedule", "出诊安排", "schedule_id:int!", "staff_id:int>staff#医生", "department_id:int>department#科室", "weekday:int#星期几, 1 为周一", "session:text#am 上午, pm 下午", "max_patients:int#限号数")
    t("appointment", "预约", "appointment_id:int!", "patient_id:int>patient#患者", "schedule_id:int>clinic_schedule#出诊安排", "appointment_date:date#预约日期", "channel:text#phone 电话, app 应用, counter 窗口", "status:text#booked 已预约, completed 已就诊, cancelled 已取消, no_show 爽约")
    t("visit", "门诊就诊", "visit_id:int!#就诊编号", "patient_id:int>patient#患者", "staff_id:int>staff#接诊医生", "department_id:int>department#科室", "appointment_id:int?>appointment#预约", "visit_date:date#就诊日期", "visit_type:text#outpatient 门诊, emergency 急诊, checkup 体检", "chief_complaint:text?#主诉")
    t("visit_diagnosis", "就诊诊断", "visit_id:int!>visit#就诊", "diagnosis_code:text!>diagnosis_code#诊断", "is_primary:int#1 主要诊断")
    t("triage_record", "急诊分诊", "triage_id:int!", "visit_id:int>visit#就诊", "level:int#分诊级别, 1 最危重", "arrived_at:time#到达时间", "nurse_id:int>staff#分诊护士")
    t("vital_sign", "生命体征", "vital_id:int!", "visit_id:int>visit#就诊", "temperature:real#体温", "systolic:int#收缩压", "diastolic:int#舒张压", "pulse:int#脉搏")
    t("referral", "转诊", "referral_id:int!", "visit_id:int>visit#就诊", "to_department_id:int>department#转入科室", "reason:text#原因", "accepted:int#1 已接收")
    t("admission", "住院", "admission_id:int!#住院号", "patient_id:int>patient#患者", "department_id:int>department#科室", "bed_id:int>bed#病床", "attending_id:int>staff#主治医生", "admitted_on:date#入院日期", "discharged_on:date?#出院日期, 空为在院", "main_diagnosis:text>diagnosis_code#主要诊断")
    t("bed_transfer", "转床", "transfer_id:int!", "admission_id:int>admission#住院", "from_bed_id:int>bed#原床", "to_bed_id:int>bed#新床", "moved_on:date#日期")
    t("discharge_summary", "出院小结", "summary_id:int!", "admission_id:int>admission#住院", "outcome:text#cured 治愈, improved 好转, transferred 转院, died 死亡", "follow_up_on:date?#复诊日期")
    t("nursing_note", "护理记录", "note_id:int!", "admission_id:int>admission#住院", "nurse_id:int>staff#护士", "noted_on:date#日期", "pain_score:int#疼痛评分 0-10")
    t("drug_category", "药品分类", "category_id:int!", "category_name:text#分类名称")
    t("drug", "药品", "drug_id:int!#药品编号", "drug_name:text#药品名称", "generic_name:text#通用名(英文)", "category_id:int>drug_category#分类", "unit_price:num#单价", "needs_prescription:int#1 处方药")
    t("drug_batch", "药品批次", "batch_id:int!", "drug_id:int>drug#药品", "vendor_id:int#供应商", "quantity:int#库存数量", "produced_on:date#生产日期", "expires_on:date#有效期至")
    t("drug_interaction", "药物相互作用", "drug_a:int!>drug#药品", "drug_b:int!>drug#药品", "risk:text#low, medium, high")
    t("prescription", "处方", "prescription_id:int!", "visit_id:int>visit#就诊", "staff_id:int>staff#开方医生", "issued_on:date#开方日期", "status:text#issued 已开, dispensed 已发药, cancelled 作废")
    t("prescription_item", "处方明细", "item_id:int!", "prescription_id:int>prescription#处方", "drug_id:int>drug#药品", "quantity:int#数量", "days:int#天数")
    t("dispense_record", "发药记录", "dispense_id:int!", "prescription_id:int>prescription#处方", "pharmacist_id:int>staff#药师", "dispensed_on:date#发药日期")
    t("lab_test", "检验项目", "test_id:int!", "test_name:text#项目名称", "name_en:text#英文名", "category:text#类别", "price:num#价格", "unit:text#单位", "normal_low:real#参考下限", "normal_high:real#参考上限")
    t("lab_panel", "检验套餐", "panel_id:int!", "panel_name:text#套餐名称", "price:num#价格")
    t("lab_panel_test", "套餐项目", "panel_id:int!>lab_panel", "test_id:int!>lab_test")
    t("lab_order", "检验申请", "order_id:int!", "visit_id:int>visit#就诊", "ordered_by:int>staff#申请医生", "ordered_on:date#申请日期", "priority:text#routine 常规, urgent 加急")
    t("lab_result", "检验结果", "result_id:int!", "order_id:int>lab_order#申请", "test_id:int>lab_test#项目", "value:real#结果值", "is_abnormal:int#1 异常", "reported_on:date#报告日期")
    t("imaging_modality", "影像检查类型", "modality_id:int!", "modality_name:text#名称: CT, MRI, X光, 超声", "price:num#价格")
    t("imaging_order", "影像申请", "imaging_id:int!", "visit_id:int>visit#就诊", "modality_id:int>imaging_modality#检查类型", "body_part:text#部位", "ordered_on:date#申请日期")
    t("imaging_report", "影像报告", "report_id:int!", "imaging_id:int>imaging_order#申请", "radiologist_id:int>staff#报告医生", "finding:text#结论: normal 正常, abnormal 异常", "reported_on:date#报告日期")
    t("operating_room", "手术室", "operating_room_id:int!", "room_name:text#名称", "campus_id:int>campus#院区")
    t("procedure_code", "手术编码", "procedure_code:text!#编码", "procedure_name:text#手术名称", "grade:int#手术级别 1-4")
    t("surgery", "手术", "surgery_id:int!", "admission_id:int>admission#住院", "procedure_code:text>procedure_code#手术", "operating_room_id:int>operating_room#手术室", "surgeon_id:int>staff#主刀医生", "surgery_date:date#手术日期", "minutes:int#时长(分钟)")
    t("surgery_team", "手术团队", "surgery_id:int!>surgery#手术", "staff_id:int!>staff#成员", "duty:text#assistant 助手, anesthetist 麻醉, nurse 护士")
    t("fee_item", "收费项目", "fee_item_id:int!", "item_name:text#项目名称", "price:num#价格", "kind:text#drug 药费, lab 检验, imaging 影像, bed 床位, surgery 手术, consult 诊疗")
    t("bill", "账单", "bill_id:int!", "patient_id:int>patient#患者", "visit_id:int?>visit#门诊就诊", "admission_id:int?>admission#住院", "billed_on:date#开单日期", "total_amount:num#总金额", "status:text#open 未结, paid 已付, void 作废")
    t("bill_item", "账单明细", "bill_item_id:int!", "bill_id:int>bill#账单", "fee_item_id:int>fee_item#收费项目", "quantity:int#数量", "amount:num#金额")
    t("payment", "付款", "payment_id:int!", "bill_id:int>bill#账单", "paid_on:date#付款日期", "method:text#cash 现金, card 银行卡, wechat 微信, alipay 支付宝, insurance 保险", "amount:num#金额")
    t("insurance_claim", "理赔", "claim_id:int!", "bill_id:int>bill#账单", "policy_id:int>insurance_policy#保险单", "claimed_on:date#申请日期", "claimed_amount:num#申请金额", "approved_amount:num?#核准金额, 空为未审", "status:text#pending 待审, approved 通过, rejected 拒绝")
    t("vendor", "供应商", "vendor_id:int!", "vendor_name:text#名称", "city:text#城市", "kind:text#drug 药品, equipment 设备, supplies 耗材")
    t("purchase_order", "采购单", "purchase_order_id:int!", "vendor_id:int>vendor#供应商", "department_id:int>department#申请科室", "ordered_on:date#下单日期", "status:text#draft 草稿, sent 已下单, received 已收货")
    t("purchase_order_item", "采购明细", "purchase_item_id:int!", "purchase_order_id:int>purchase_order#采购单", "item_name:text#物品", "quantity:int#数量", "unit_cost:num#单价")
    t("equipment", "设备", "equipment_id:int!", "equipment_name:text#设备名称", "department_id:int>department#使用科室", "vendor_id:int>vendor#供应商", "purchased_on:date#购置日期", "cost:num#购置金额", "status:text#in_use 在用, repair 维修, retired 报废")
    t("equipment_maintenance", "设备维护", "maintenance_id:int!", "equipment_id:int>equipment#设备", "done_on:date#日期", "cost:num#费用", "kind:text#routine 保养, repair 维修")
    t("patient_feedback", "满意度评价", "feedback_id:int!", "visit_id:int>visit#就诊", "score:int#评分 1-5", "given_on:date#日期")
    assert len(db.tables) == 60, len(db.tables)
    fill(db, rnd)
    return db


def person(rnd, taken):
    while True:
        name = rnd.choice(SURNAMES) + rnd.choice(GIVEN)
        if taken.get(name, 0) < 2:
            taken[name] = taken.get(name, 0) + 1
            return name


def day(rnd, first, last):
    return first + timedelta(days=rnd.randint(0, (last - first).days))


def fill(db, rnd):
    add = db.add
    add("campus", (1, "滨江院区", "杭州", date(1998, 5, 1), 600), (2, "城东院区", "杭州", date(2009, 9, 15), 320), (3, "康复分院", "绍兴", date(2018, 3, 20), 120))
    for i, (zh, en, kind, campus) in enumerate(DEPARTMENTS, 1):
        add("department", (i, zh, en, kind, campus, f"0571-880{i:02d}"))
    roles = [("医生", 9800), ("护士", 6200), ("药师", 6800), ("检验师", 6500), ("影像医师", 8800), ("麻醉医生", 9500), ("行政", 5600)]
    for i, (name, salary) in enumerate(roles, 1):
        add("staff_role", (i, name, float(salary)))
    taken = {}
    doctors, nurses = {}, []
    staff_id = 0

    def hire(role, department, title, active=1):
        nonlocal staff_id
        staff_id += 1
        gender = rnd.choice("MF")
        add("staff", (staff_id, person(rnd, taken), gender, day(rnd, date(1962, 1, 1), date(1996, 12, 31)), role, department, title, day(rnd, date(2000, 1, 1), date(2023, 6, 30)), active))
        return staff_id

    clinical = [i for i, d in enumerate(DEPARTMENTS, 1) if d[2] == "clinical"]
    for department in clinical:
        doctors[department] = [hire(1, department, rnd.choice(["主任医师", "副主任医师", "主治医师", "主治医师", "住院医师"]), 0 if rnd.random() < 0.08 else 1) for _ in range(rnd.randint(3, 6))]
        nurses += [hire(2, department, rnd.choice(["护师", "护士", "主管护师"])) for _ in range(rnd.randint(3, 5))]
    pharmacists = [hire(3, 13, "药师") for _ in range(4)]
    [hire(4, 11, "检验师") for _ in range(4)]
    radiologists = [hire(5, 12, rnd.choice(["主治医师", "副主任医师"])) for _ in range(4)]
    anesthetists = [hire(6, 14, "主治医师") for _ in range(4)]
    [hire(7, d, None) for d in (15, 15, 16, 16)]
    certificates = ["执业医师证", "执业护士证", "高级生命支持", "放射工作证"]
    for i in range(1, 91):
        issued = day(rnd, date(2015, 1, 1), date(2023, 1, 1))
        add("staff_qualification", (i, rnd.randint(1, staff_id), rnd.choice(certificates), issued, None if rnd.random() < 0.3 else issued + timedelta(days=365 * rnd.choice([2, 3, 5]))))
    ward = room = bed = 0
    beds_of = {}
    for department in clinical:
        for n in range(1 if department in (9, 10) else 2):
            ward += 1
            add("ward", (ward, f"{DEPARTMENTS[department - 1][0]}{n + 1}病区", department, rnd.randint(3, 15)))
            for r in range(rnd.randint(2, 4)):
                room += 1
                kind = rnd.choice(["single", "double", "general", "general"])
                add("room", (room, ward, f"{ward:02d}{r + 1:02d}", kind, {"single": 260.0, "double": 120.0, "general": 60.0}[kind]))
                for b in range({"single": 1, "double": 2, "general": 4}[kind]):
                    bed += 1
                    beds_of.setdefault(department, []).append(bed)
                    add("bed", (bed, room, f"{b + 1}床", rnd.choice(["free", "occupied", "occupied", "cleaning"])))
    for i, (name, a, b) in enumerate([("白班", "08:00", "16:00"), ("小夜班", "16:00", "00:00"), ("大夜班", "00:00", "08:00")], 1):
        add("shift_type", (i, name, a, b))
    for i in range(1, 401):
        add("shift_assignment", (i, rnd.choice(nurses), rnd.choice([1, 1, 2, 3]), day(rnd, date(2023, 9, 1), date(2023, 9, 30)), rnd.randint(1, ward) if rnd.random() < 0.9 else None))

    patients = 320
    taken = {}
    for i in range(1, patients + 1):
        add("patient", (i, person(rnd, taken), rnd.choice("MF"), day(rnd, date(1935, 1, 1), date(2021, 12, 31)), rnd.choice(["A", "B", "AB", "O", "O", "A", None]), day(rnd, date(2019, 1, 1), date(2023, 6, 30)), f"138{rnd.randint(10000000, 99999999)}" if rnd.random() < 0.9 else None))
        add("patient_address", (i, i, rnd.choice(CITIES[:1] * 4 + CITIES), rnd.choice(["西湖区", "滨江区", "上城区", "越城区", "海曙区"]), 1))
        if rnd.random() < 0.7:
            n = len(db.tables["patient_contact"].rows) + 1
            add("patient_contact", (n, i, person(rnd, taken), rnd.choice(["配偶", "父母", "子女", "朋友"]), f"139{rnd.randint(10000000, 99999999)}"))
    companies = [("省医疗保障局", "public"), ("市医疗保障局", "public"), ("安泰人寿", "commercial"), ("远洋健康保险", "commercial"), ("青松财险", "commercial"), ("海棠养老保险", "commercial")]
    for i, row in enumerate(companies, 1):
        add("insurance_company", (i, *row))
    policy_of = {}
    for i in range(1, patients + 1):
        if rnd.random() < 0.75:
            policy = len(db.tables["insurance_policy"].rows) + 1
            company = rnd.choice([1, 1, 1, 2, 2, 3, 4, 5])
            start = day(rnd, date(2021, 1, 1), date(2022, 12, 31))
            add("insurance_policy", (policy, i, company, rnd.choice([0.7, 0.8, 0.9]) if company < 3 else rnd.choice([0.5, 0.6, 1.0]), start, start + timedelta(days=730)))
            policy_of[i] = policy
    for i, name in enumerate(ALLERGENS, 1):
        add("allergen", (i, name))
    for i in range(1, patients + 1):
        for allergen in sorted(rnd.sample(range(1, 8), rnd.choice([0, 0, 0, 0, 1, 1, 2]))):
            add("patient_allergy", (i, allergen, rnd.choice(["mild", "mild", "moderate", "severe"])))
    for row in CODES:
        add("diagnosis_code", row)
    for i in range(1, 141):
        add("patient_condition", (i, rnd.randint(1, patients), rnd.choice(["I10", "I10", "E11", "E11", "I25", "J45", "M17"]), day(rnd, date(2005, 1, 1), date(2022, 12, 31))))
    schedule = 0
    schedules = []
    for department in clinical:
        for doctor in doctors[department]:
            for weekday in sorted(rnd.sample(range(1, 6), rnd.choice([1, 2, 2, 3]))):
                schedule += 1
                schedules.append((schedule, doctor, department, weekday))
                add("clinic_schedule", (schedule, doctor, department, weekday, rnd.choice(["am", "pm"]), rnd.choice([15, 20, 25, 30])))

    usual = {1: ["I10", "I25"], 2: ["M17", "M51", "S72", "S52"], 3: ["J06", "J18", "J45"], 4: ["I63", "G43"], 5: ["O80", "O82"], 6: ["K35", "K80", "K29"], 7: ["C34", "C50"], 8: ["J06", "K29", "S52", "I63"], 9: ["H25"], 10: ["L20"], 17: ["M17", "I63"]}
    complaints = ["胸闷", "头痛", "咳嗽", "发热", "腹痛", "膝盖疼痛", "皮疹", "视力下降", "乏力", None]
    first, last = date(2022, 1, 4), date(2023, 9, 30)
    for i in range(1, 901):
        plan = rnd.choice(schedules)
        when = day(rnd, first, last)
        status = rnd.choice(["completed"] * 6 + ["cancelled", "no_show", "booked"])
        # The last ones never come.
        add("appointment", (i, rnd.randint(1, patients - 12), plan[0], when, rnd.choice(["app", "app", "phone", "counter"]), status))
    visit = triage = vital = referral = 0
    visits = []
    for i, row in enumerate(db.tables["appointment"].rows):
        if row[5] == "completed":
            plan = schedules[row[2] - 1]
            visits.append((row[1], plan[1], plan[2], row[0], row[3], "checkup" if rnd.random() < 0.08 else "outpatient"))
    for _ in range(260):
        department = rnd.choice([8, 8, 8, 3, 6])
        visits.append((rnd.randint(1, patients - 12), rnd.choice(doctors[department]), department, None, day(rnd, first, last), "emergency"))
    visits.sort(key=lambda v: (v[4], v[0]))
    rows = []
    for patient, doctor, department, appointment, when, kind in visits:
        visit += 1
        rows.append((visit, patient, doctor, department, appointment, when, kind, rnd.choice(complaints)))
    add("visit", *rows)
    for v in rows:
        codes = ["Z00"] if v[6] == "checkup" else [rnd.choice(usual[v[3]])]
        if rnd.random() < 0.25:
            codes.append(rnd.choice(["I10", "E11", "K29"]))
        for n, code in enumerate(dict.fromkeys(codes)):
            add("visit_diagnosis", (v[0], code, 1 if n == 0 else 0))
        if v[6] == "emergency":
            triage += 1
            add("triage_record", (triage, v[0], rnd.choice([1, 2, 2, 3, 3, 3, 4]), datetime(v[5].year, v[5].month, v[5].day, rnd.randint(0, 23), rnd.choice([0, 10, 25, 40, 55])), rnd.choice(nurses)))
        if rnd.random() < 0.6:
            vital += 1
            add("vital_sign", (vital, v[0], round(rnd.gauss(36.9, 0.6), 1), rnd.randint(95, 178), rnd.randint(58, 108), rnd.randint(54, 118)))
        if rnd.random() < 0.06:
            referral += 1
            add("referral", (referral, v[0], rnd.choice([d for d in clinical if d != v[3]]), rnd.choice(["进一步检查", "会诊", "康复治疗"]), rnd.choice([0, 1, 1])))
        if rnd.random() < 0.35:
            add("patient_feedback", (len(db.tables["patient_feedback"].rows) + 1, v[0], rnd.choice([1, 2, 3, 4, 4, 5, 5, 5]), v[5] + timedelta(days=rnd.randint(0, 6))))

    inpatient = [d for d in clinical if d not in (10,)]
    transfer = note = 0
    for i in range(1, 211):
        department = rnd.choice(inpatient)
        start = day(rnd, first, date(2023, 9, 28))
        stay = rnd.randint(2, 24)
        end = start + timedelta(days=stay)
        end = None if end > last or i % 50 == 0 else end
        add("admission", (i, rnd.randint(1, patients - 12), department, rnd.choice(beds_of[department]), rnd.choice(doctors[department]), start, end, rnd.choice(usual[department])))
        if end:
            outcome = rnd.choice(["cured"] * 4 + ["improved"] * 5 + ["transferred", "died"])
            n = len(db.tables["discharge_summary"].rows) + 1
            add("discharge_summary", (n, i, outcome, None if outcome == "died" else end + timedelta(days=rnd.choice([14, 30, 60]))))
        if rnd.random() < 0.15:
            transfer += 1
            a, b = rnd.sample(beds_of[department], 2)
            add("bed_transfer", (transfer, i, a, b, start + timedelta(days=1)))
        for n in range(rnd.randint(1, 4)):
            note += 1
            add("nursing_note", (note, i, rnd.choice(nurses), start + timedelta(days=n), rnd.randint(0, 9)))
    categories = list(dict.fromkeys(d[2] for d in DRUGS))
    for i, name in enumerate(categories, 1):
        add("drug_category", (i, name))
    for i, (zh, en, category, price, needs) in enumerate(DRUGS, 1):
        add("drug", (i, zh, en, categories.index(category) + 1, price, needs))
    vendors = [("华东医药供应", "杭州", "drug"), ("康瑞药业", "上海", "drug"), ("百草堂药材", "南京", "drug"), ("精准医疗器械", "苏州", "equipment"), ("联影设备", "上海", "equipment"), ("洁康耗材", "宁波", "supplies"), ("大禾耗材", "杭州", "supplies"), ("北方仪器", "北京", "equipment")]
    for i in range(1, 61):
        made = day(rnd, date(2021, 6, 1), date(2023, 6, 1))
        add("drug_batch", (i, rnd.randint(1, len(DRUGS) - 1), rnd.randint(1, 3), rnd.randint(0, 900), made, made + timedelta(days=rnd.choice([365, 540, 730]))))
    for a, b, risk in [(4, 11, "high"), (4, 5, "low"), (6, 16, "high"), (8, 18, "medium"), (9, 6, "medium"), (13, 19, "medium"), (21, 22, "high"), (3, 18, "medium")]:
        add("drug_interaction", (a, b, risk))
    wanted = {1: [4, 5, 6, 7], 2: [11, 12], 3: [1, 12, 17, 16], 4: [4, 7, 11], 5: [20], 6: [2, 14, 15], 7: [21, 22, 18], 8: [11, 12, 3], 9: [3], 10: [19, 18], 17: [11, 4]}
    prescription = item = dispense = 0
    for v in rows:
        if rnd.random() < 0.65:
            prescription += 1
            status = rnd.choice(["dispensed"] * 7 + ["issued", "cancelled"])
            add("prescription", (prescription, v[0], v[2], v[5], status))
            pool = wanted[v[3]] + [8, 14, 20]
            for drug in sorted(set(rnd.sample(pool, min(len(pool), rnd.choice([1, 1, 2, 3]))))):
                item += 1
                add("prescription_item", (item, prescription, drug, rnd.randint(1, 4), rnd.choice([3, 5, 7, 14, 30])))
            if status == "dispensed":
                dispense += 1
                add("dispense_record", (dispense, prescription, rnd.choice(pharmacists), v[5]))
    for i, row in enumerate(TESTS, 1):
        add("lab_test", (i, *row))
    panels = [("入院常规", 88.0, [1, 2, 5, 6, 9]), ("糖尿病套餐", 70.0, [2, 3]), ("肿瘤筛查", 130.0, [10, 11]), ("心脏套餐", 150.0, [4, 8])]
    for i, (name, price, tests) in enumerate(panels, 1):
        add("lab_panel", (i, name, price))
        for test in tests:
            add("lab_panel_test", (i, test))
    order = result = 0
    for v in rows:
        if rnd.random() < 0.5:
            order += 1
            add("lab_order", (order, v[0], v[2], v[5], rnd.choice(["routine", "routine", "routine", "urgent"])))
            for test in sorted(rnd.sample(range(1, 12), rnd.choice([1, 2, 3]))):
                low, high = TESTS[test - 1][5:7]
                spread = high - low
                value = round(low + spread * rnd.uniform(-0.15 if low else 0, 1.5), 3)
                result += 1
                add("lab_result", (result, order, test, value, 1 if value < low or value > high else 0, v[5] + timedelta(days=rnd.randint(0, 3))))
    for i, (name, price) in enumerate([("CT", 280.0), ("MRI", 620.0), ("X光", 80.0), ("超声", 120.0), ("PET-CT", 7000.0)], 1):
        add("imaging_modality", (i, name, price))
    imaging = 0
    for v in rows:
        if rnd.random() < 0.25:
            imaging += 1
            add("imaging_order", (imaging, v[0], rnd.choice([1, 2, 3, 3, 4, 4]), rnd.choice(["胸部", "头部", "膝关节", "腹部", "脊柱"]), v[5]))
            if rnd.random() < 0.92:
                n = len(db.tables["imaging_report"].rows) + 1
                add("imaging_report", (n, imaging, rnd.choice(radiologists), rnd.choice(["normal", "normal", "abnormal"]), v[5] + timedelta(days=rnd.randint(0, 2))))
    for i in range(1, 7):
        add("operating_room", (i, f"{i}号手术室", 1 if i <= 4 else 2))
    procedures = [("47.01", "腹腔镜阑尾切除术", 2, "K35", 6), ("51.23", "腹腔镜胆囊切除术", 3, "K80", 6), ("81.54", "全膝关节置换术", 4, "M17", 2), ("79.35", "股骨骨折内固定术", 3, "S72", 2), ("74.1", "剖宫产术", 2, "O82", 5), ("13.41", "白内障超声乳化术", 3, "H25", 9), ("36.06", "冠状动脉支架植入术", 4, "I25", 1), ("32.41", "肺叶切除术", 4, "C34", 7), ("85.41", "乳房切除术", 3, "C50", 7)]
    for code, name, grade, _, _ in procedures:
        add("procedure_code", (code, name, grade))
    add("procedure_code", ("01.24", "开颅术", 4))
    surgery = 0
    by_diagnosis = {p[3]: p for p in procedures}
    for a in db.tables["admission"].rows:
        found = by_diagnosis.get(a[7])
        if found and rnd.random() < 0.8:
            surgery += 1
            add("surgery", (surgery, a[0], found[0], rnd.randint(1, 6), a[4], a[5] + timedelta(days=1), rnd.randint(35, 290)))
            team = [(rnd.choice(anesthetists), "anesthetist"), (rnd.choice(nurses), "nurse")]
            helper = rnd.choice([d for d in doctors[a[2]] if d != a[4]])
            for member, duty in [*team, (helper, "assistant")]:
                add("surgery_team", (surgery, member, duty))
    fees = [("普通门诊诊疗费", 20.0, "consult"), ("专家门诊诊疗费", 50.0, "consult"), ("急诊诊疗费", 40.0, "consult"), ("西药费", 1.0, "drug"), ("检验费", 1.0, "lab"), ("影像费", 1.0, "imaging"), ("床位费", 80.0, "bed"), ("手术费", 3200.0, "surgery"), ("护理费", 45.0, "bed")]
    for i, row in enumerate(fees, 1):
        add("fee_item", (i, *row))
    bill = bill_item = payment = claim = 0
    operated = {s[1] for s in db.tables["surgery"].rows}
    jobs = [(v[1], v[0], None, v[5], v[6]) for v in rows if rnd.random() < 0.8]
    jobs += [(a[1], None, a[0], a[6] or last, "stay") for a in db.tables["admission"].rows]
    for patient, of_visit, of_admission, when, kind in jobs:
        bill += 1
        lines = []
        if of_visit:
            lines.append((3, 1, 40.0) if kind == "emergency" else rnd.choice([(1, 1, 20.0), (2, 1, 50.0)]))
            if rnd.random() < 0.6:
                lines.append((4, 1, round(rnd.uniform(10, 260), 2)))
            if rnd.random() < 0.4:
                lines.append((5, 1, float(rnd.choice([25, 33, 60, 88, 130]))))
        else:
            days = rnd.randint(2, 20)
            lines += [(7, days, days * 80.0), (9, days, days * 45.0), (4, 1, round(rnd.uniform(200, 4000), 2))]
            if of_admission in operated:
                lines.append((8, 1, 3200.0 + rnd.randint(0, 30) * 100))
        total = round(sum(x[2] for x in lines), 2)
        status = rnd.choice(["paid"] * 8 + ["open", "void"])
        add("bill", (bill, patient, of_visit, of_admission, when, total, status))
        for fee, quantity, amount in lines:
            bill_item += 1
            add("bill_item", (bill_item, bill, fee, quantity, amount))
        if status == "paid":
            payment += 1
            add("payment", (payment, bill, when + timedelta(days=rnd.randint(0, 5)), rnd.choice(["wechat", "wechat", "alipay", "card", "cash"]), total))
            if patient in policy_of and rnd.random() < 0.5:
                claim += 1
                state = rnd.choice(["approved"] * 6 + ["rejected", "pending"])
                asked = round(total * 0.7, 2)
                granted = {"approved": round(asked * rnd.choice([0.8, 0.9, 1.0]), 2), "rejected": 0.0, "pending": None}[state]
                add("insurance_claim", (claim, bill, policy_of[patient], when + timedelta(days=rnd.randint(1, 20)), asked, granted, state))
    for i, row in enumerate(vendors, 1):
        add("vendor", (i, *row))
    goods = {"drug": ["阿莫西林胶囊", "胰岛素注射液", "阿托伐他汀片"], "equipment": ["监护仪", "输液泵", "除颤仪"], "supplies": ["一次性手套", "注射器", "口罩", "纱布"]}
    n = 0
    for i in range(1, 91):
        vendor = rnd.randint(1, 7)
        kind = vendors[vendor - 1][2]
        add("purchase_order", (i, vendor, {"drug": 13, "equipment": 16}.get(kind, rnd.choice(clinical)), day(rnd, first, last), rnd.choice(["received"] * 6 + ["sent", "draft"])))
        for good in rnd.sample(goods[kind], rnd.choice([1, 1, 2])):
            n += 1
            cost = {"drug": 15.0, "equipment": 8800.0, "supplies": 0.8}[kind]
            add("purchase_order_item", (n, i, good, rnd.choice([2, 5, 10]) if kind == "equipment" else rnd.choice([200, 500, 1000]), round(cost * rnd.uniform(0.8, 1.6), 2)))
    machines = [("CT机", 12, 5, 4200000), ("核磁共振仪", 12, 5, 9800000), ("彩超", 12, 4, 860000), ("心电监护仪", 1, 4, 42000), ("呼吸机", 8, 4, 180000), ("麻醉机", 14, 4, 260000), ("腹腔镜系统", 6, 4, 1150000), ("关节镜", 2, 4, 640000), ("直线加速器", 7, 5, 15600000), ("裂隙灯", 9, 4, 38000), ("全自动生化仪", 11, 5, 1250000), ("除颤仪", 8, 4, 52000), ("婴儿培养箱", 3, 4, 68000), ("康复机器人", 17, 5, 780000), ("心电监护仪", 8, 4, 42000)]
    for i, (name, department, vendor, cost) in enumerate(machines, 1):
        add("equipment", (i, name, department, vendor, day(rnd, date(2014, 1, 1), date(2023, 3, 1)), float(cost), "retired" if i in (10,) else rnd.choice(["in_use"] * 6 + ["repair"])))
    for i in range(1, 61):
        kind = rnd.choice(["routine", "routine", "repair"])
        add("equipment_maintenance", (i, rnd.choice([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13]), day(rnd, first, last), round(rnd.uniform(300, 3000) if kind == "routine" else rnd.uniform(2000, 60000), 2), kind))
